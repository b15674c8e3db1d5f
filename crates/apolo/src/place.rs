//! Where a client works.

/// Platform, cluster, organisation and project, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Address of the platform.
    pub(crate) url: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) org: Option<String>,
    pub(crate) project: Option<String>,
}

impl Place {
    /// Takes what is not set from another place, where that fits: its organisations are those of its cluster, its
    /// projects those of its organisation.
    pub(crate) fn complete(&mut self, other: Self) {
        fn take(own: &mut Option<String>, other: Option<String>) -> bool {
            let fits = own.is_none() || *own == other;
            *own = own.take().or(other);
            fits
        }
        self.url = self.url.take().or(other.url);
        if take(&mut self.cluster, other.cluster) && take(&mut self.org, other.org) {
            take(&mut self.project, other.project);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(cluster: Option<&str>, org: Option<&str>, project: Option<&str>) -> Place {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Place { url: None, cluster: own(cluster), org: own(org), project: own(project) }
    }

    #[test]
    fn only_what_fits_is_taken() {
        let other = place(Some("c"), Some("o"), Some("p"));
        for (own, whole) in [
            (place(None, None, None), other.clone()),
            (place(Some("c"), None, Some("q")), place(Some("c"), Some("o"), Some("q"))),
            (place(Some("d"), None, None), place(Some("d"), None, None)),
            (place(None, Some("x"), None), place(Some("c"), Some("x"), None)),
        ] {
            let mut own = own;
            own.complete(other.clone());
            assert_eq!(own, whole);
        }
    }
}
