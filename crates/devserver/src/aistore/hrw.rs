//! Placement: which target an object belongs to (highest random weight).

use twox_hash::XxHash64;

const SEED: u64 = 1_103_515_245;

/// Hash of a node id or of an object's uname.
pub(crate) fn digest(text: &str) -> u64 {
    XxHash64::oneshot(SEED, text.as_bytes())
}

/// Score of a node for an object, from their digests.
fn score(node: u64, object: u64) -> u64 {
    mix(node ^ object)
}

fn mix(seed: u64) -> u64 {
    const G: u64 = 0x9e37_79b9_7f4a_7c15;
    const A: u64 = 0xbf58_476d_1ce4_e5b9;
    const B: u64 = 0x94d0_49bb_1331_11eb;
    let mut z = seed.wrapping_add(G);
    z = (z ^ (z >> 30)).wrapping_mul(A);
    z = (z ^ (z >> 27)).wrapping_mul(B);
    z = (z ^ (z >> 31)).wrapping_add(G);
    z = (z ^ (z >> 30)).wrapping_mul(A);
    z = (z ^ (z >> 27)).wrapping_mul(B);
    z = (z ^ (z >> 31)).wrapping_mul(5);
    z.rotate_left(7).wrapping_mul(9)
}

/// Index of the node, among digests of node ids, that the object with this uname belongs to.
pub(crate) fn choose(nodes: impl IntoIterator<Item = u64>, uname: &str) -> usize {
    let object = digest(uname);
    nodes.into_iter().enumerate().max_by_key(|&(_, node)| score(node, object)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_vectors() {
        assert_eq!(mix(0), 1_905_207_664_160_064_169);
        assert_eq!(mix(1), 14_233_695_028_433_725_123);
        assert_eq!(mix(4_573_842), 5_026_071_747_115_404_967);
        assert_eq!(mix(u64::MAX), 10_227_601_306_713_020_730);
    }

    #[test]
    fn digest_vectors() {
        assert_eq!(digest(""), 12_295_767_445_558_623_539);
        assert_eq!(digest("t1"), 14_214_570_646_889_990_061);
        assert_eq!(digest("ais/@#/bck/obj"), 7_636_710_260_493_408_699);
        assert_eq!(digest("aws/@#/b/k"), 10_435_607_000_927_303_247);
    }

    #[test]
    fn placements() {
        let nodes = ["t1", "t2", "t3"].map(digest);
        for (uname, index) in [
            ("ais/@#/bck/obj", 2),
            ("ais/@#/bck/dir/obj.txt", 2),
            ("ais/@#/bck/obj-1", 0),
            ("ais/@#/bck/obj-3", 1),
        ] {
            assert_eq!(choose(nodes, uname), index, "{uname}");
        }
    }

    /// What real clusters chose, as recorded.
    #[test]
    fn recorded_placements() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/wire/aistore/hrw-vectors.json");
        let doc: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).expect("vectors")).expect("JSON vectors");
        let text = |v: &serde_json::Value| v.as_str().map(str::to_owned).expect("a string");
        let mut count = 0;
        for set in doc["sets"].as_array().expect("sets") {
            let targets: Vec<_> = set["smap"]["targets"]
                .as_array()
                .expect("targets")
                .iter()
                .filter(|t| t["flags"].as_u64().expect("flags") & 0b1100 == 0)
                .map(|t| text(&t["daemon_id"]))
                .collect();
            for vector in set["vectors"].as_array().expect("vectors") {
                let uname = format!("{}/{}", text(&vector["bucket"]), text(&vector["name"]));
                assert_eq!(digest(&uname).to_string(), text(&vector["digest"]), "{uname}");
                let index = choose(targets.iter().map(|t| digest(t)), &uname);
                assert_eq!(targets[index], text(&vector["target"]), "{uname}");
                assert_eq!(
                    score(digest(&targets[index]), digest(&uname)).to_string(),
                    text(&vector["score"])
                );
                count += 1;
            }
        }
        assert_eq!(count, 410);
    }
}
