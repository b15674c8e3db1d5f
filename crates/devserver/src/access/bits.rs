//! Access bits and their names.

/// A set of access bits.
pub(crate) type Bits = u64;

pub(crate) const GET: Bits = 1;
pub(crate) const OBJ_HEAD: Bits = 1 << 1;
pub(crate) const PUT: Bits = 1 << 2;
pub(crate) const APPEND: Bits = 1 << 3;
pub(crate) const OBJ_DELETE: Bits = 1 << 4;
pub(crate) const OBJ_MOVE: Bits = 1 << 5;
pub(crate) const PROMOTE: Bits = 1 << 6;
pub(crate) const OBJ_UPDATE: Bits = 1 << 7;
pub(crate) const BCK_HEAD: Bits = 1 << 8;
pub(crate) const OBJ_LIST: Bits = 1 << 9;
pub(crate) const PATCH: Bits = 1 << 10;
pub(crate) const BCK_SET_ACL: Bits = 1 << 11;
pub(crate) const LIST_BUCKETS: Bits = 1 << 12;
pub(crate) const SHOW_CLUSTER: Bits = 1 << 13;
pub(crate) const CREATE_BUCKET: Bits = 1 << 14;
pub(crate) const DESTROY_BUCKET: Bits = 1 << 15;
pub(crate) const MOVE_BUCKET: Bits = 1 << 16;
pub(crate) const ADMIN: Bits = 1 << 17;

/// Reading a bucket and its objects.
pub(crate) const RO: Bits = GET | OBJ_HEAD | BCK_HEAD | OBJ_LIST;
/// Reading and writing objects.
pub(crate) const RW: Bits = RO | PUT | APPEND | OBJ_DELETE | OBJ_MOVE;
/// Bits that only a cluster's access list grants.
pub(crate) const CLUSTER_BITS: Bits =
    LIST_BUCKETS | SHOW_CLUSTER | CREATE_BUCKET | DESTROY_BUCKET | MOVE_BUCKET | ADMIN;

/// Names of the bits, the lowest first.
const NAMES: [&str; 18] = [
    "GET",
    "HEAD-OBJECT",
    "PUT",
    "APPEND",
    "DELETE-OBJECT",
    "MOVE-OBJECT",
    "PROMOTE",
    "UPDATE-OBJECT",
    "HEAD-BUCKET",
    "LIST-OBJECTS",
    "PATCH",
    "SET-BUCKET-ACL",
    "LIST-BUCKETS",
    "SHOW-CLUSTER",
    "CREATE-BUCKET",
    "DESTROY-BUCKET",
    "MOVE-BUCKET",
    "ADMIN",
];

/// Names of the bits in a set, the lowest first.
fn names(bits: Bits) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().enumerate().filter(move |(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| name)
}

/// Name of the lowest bit of a set.
pub(crate) fn name(bits: Bits) -> &'static str {
    names(bits).next().unwrap_or("UNKNOWN")
}

/// Names of all the bits, as a bucket's refusals list them.
pub(crate) fn list(bits: Bits) -> String {
    format!("[{}]", names(bits).collect::<Vec<_>>().join(","))
}

/// Names of the bits, at most four of them, as the refusals of tokens list them.
pub(crate) fn describe(bits: Bits) -> String {
    let mut names = names(bits);
    let first: Vec<_> = names.by_ref().take(4).collect();
    match (first.is_empty(), names.next()) {
        (true, _) => "none".into(),
        (false, None) => first.join(","),
        (false, Some(_)) => first.join(",") + ", ...",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        assert_eq!((RO, RW, CLUSTER_BITS), (771, 831, 258_048));
    }

    #[test]
    fn descriptions() {
        assert_eq!(describe(0), "none");
        assert_eq!(describe(RO), "GET,HEAD-OBJECT,HEAD-BUCKET,LIST-OBJECTS");
        assert_eq!(describe(RW), "GET,HEAD-OBJECT,PUT,APPEND, ...");
        assert_eq!(describe(ADMIN), "ADMIN");
        assert_eq!(describe(1 << 40), "none");
        assert_eq!(list(RO), "[GET,HEAD-OBJECT,HEAD-BUCKET,LIST-OBJECTS]");
        assert_eq!((name(PUT | APPEND), name(1 << 40)), ("PUT", "UNKNOWN"));
    }
}
