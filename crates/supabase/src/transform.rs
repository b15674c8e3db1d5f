//! Images that are resized on the way.

use longshore_core_types::Result;
use serde::Serialize;

use crate::{names::invalid, wire::Request};

/// How an image is changed before it is sent. Nothing that is stored changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Transform {
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resize: Option<Resize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<u8>,
}

/// How an image fits into width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resize {
    /// Fills both and cuts off what is over.
    Cover,
    /// Fits into both, with its proportions.
    Contain,
    /// Fills both, without regard to its proportions.
    Fill,
}

/// In which format an image is sent. Without one, the server chooses by the `Accept` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// As it is stored.
    Origin,
    /// AVIF.
    Avif,
    /// WebP.
    Webp,
}

impl Transform {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Width in pixels, 1 to 2000.
    pub fn width(mut self, pixels: u32) -> Self {
        self.width = Some(pixels);
        self
    }

    /// Height in pixels, 1 to 2000.
    pub fn height(mut self, pixels: u32) -> Self {
        self.height = Some(pixels);
        self
    }

    /// How it fits into width and height. [`Resize::Cover`] by default.
    pub fn resize(mut self, resize: Resize) -> Self {
        self.resize = Some(resize);
        self
    }

    /// In which format it is sent.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Quality in percent, 20 to 100. The server's default is 80.
    pub fn quality(mut self, percent: u8) -> Self {
        self.quality = Some(percent);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what the server would refuse or cut.
    pub(crate) fn check(&self) -> Result<()> {
        for (what, pixels) in [("width", self.width), ("height", self.height)] {
            if let Some(pixels) = pixels.filter(|pixels| !(1..=2000).contains(pixels)) {
                return Err(invalid(format!("a {what} of {pixels} pixels is not between 1 and 2000")));
            }
        }
        match self.quality {
            Some(percent) if !(20..=100).contains(&percent) => {
                Err(invalid(format!("a quality of {percent} is not between 20 and 100")))
            }
            _ => Ok(()),
        }
    }

    /// The pairs of a query, in the order in which the reference clients write them.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let word = |word: Option<&'static str>| word.map(str::to_owned);
        let resize = self.resize.map(|resize| match resize {
            Resize::Cover => "cover",
            Resize::Contain => "contain",
            Resize::Fill => "fill",
        });
        let format = self.format.map(|format| match format {
            Format::Origin => "origin",
            Format::Avif => "avif",
            Format::Webp => "webp",
        });
        let all = [
            ("width", self.width.map(|n| n.to_string())),
            ("height", self.height.map(|n| n.to_string())),
            ("resize", word(resize)),
            ("format", word(format)),
            ("quality", self.quality.map(|n| n.to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    pub(crate) fn put_on(&self, mut request: Request) -> Result<Request> {
        self.check()?;
        for (name, value) in self.pairs() {
            request = request.query(name, &value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_json() {
        let transform =
            Transform::new().quality(50).width(10).height(20).resize(Resize::Cover).format(Format::Webp);
        let pairs: Vec<String> = transform.pairs().into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(pairs.join("&"), "width=10&height=20&resize=cover&format=webp&quality=50");
        let json = serde_json::to_string(&transform).unwrap();
        assert_eq!(json, r#"{"width":10,"height":20,"resize":"cover","format":"webp","quality":50}"#);
        assert!(Transform::new().is_empty());
    }

    #[test]
    fn what_the_server_would_cut_is_refused() {
        for transform in [
            Transform::new().width(0),
            Transform::new().height(2001),
            Transform::new().quality(19),
            Transform::new().quality(101),
        ] {
            assert!(transform.check().is_err(), "{transform:?}");
        }
        assert!(Transform::new().width(2000).quality(20).check().is_ok());
    }
}
