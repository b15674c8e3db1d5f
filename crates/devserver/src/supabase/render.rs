//! Image rendering, without the rendering: the stored image goes out as it is, and `x-longshore-untransformed` says so.

use http::HeaderName;
use http::header::CONTENT_TYPE;

use super::cx::{Cx, NoHeader};
use super::error::{Fail, Result};
use super::read::{Keep, X_TRANSFORMATIONS, described, readable};
use super::route::{Access, Place};
use super::rows::{Bucket, Object};
use super::schema::Fields;
use super::sign;
use crate::aistore::reply::Reply;
use crate::http::Source;
use crate::storage::Row;

const UNTRANSFORMED: HeaderName = HeaderName::from_static("x-longshore-untransformed");
const GRAVITY: &[&str] = &["no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce", "sm", "fp"];
const LARGEST: i64 = 2000;

/// What is to be done to an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Transform {
    width: Option<i64>,
    height: Option<i64>,
    resize: Option<&'static str>,
    quality: Option<i64>,
    format: Option<&'static str>,
    gravity: Option<(&'static str, Option<(f64, f64)>)>,
}

impl Transform {
    /// Reads a query, or the member of a document; `None` if nothing is to be done.
    pub(super) fn from_fields(fields: &Fields) -> Result<Option<Self>> {
        let side = |name: &str| -> Result<Option<i64>> {
            Ok(fields.integer(name, 0, None)?.filter(|n| *n > 0).map(|n| n.min(LARGEST)))
        };
        let gravity = fields.choice("gravity", GRAVITY)?;
        if gravity == Some("fp") {
            fields.require(&["x_offset", "y_offset"])?;
        }
        let (x, y) = (fields.number("x_offset", 0.0, 1.0)?, fields.number("y_offset", 0.0, 1.0)?);
        let transform = Self {
            height: side("height")?,
            width: side("width")?,
            resize: fields.choice("resize", &["cover", "contain", "fill"])?,
            format: fields.choice("format", &["origin", "avif", "webp"])?,
            quality: fields.integer("quality", 20, Some(100))?,
            gravity: gravity.map(|g| (g, x.zip(y).filter(|_| g == "fp"))),
        };
        Ok(Some(transform).filter(|t| *t != Self::default()))
    }

    /// The steps as answers tell them.
    pub(super) fn steps(&self) -> String {
        let mut steps = Vec::new();
        let side = |name: &str, n: Option<i64>| n.map(|n| format!("{name}:{n}"));
        steps.extend(side("height", self.height));
        steps.extend(side("width", self.width));
        if self.width.is_some() || self.height.is_some() {
            let kind = match self.resize {
                Some("contain") => "fit",
                Some("fill") => "force",
                _ => "fill",
            };
            steps.push(format!("resizing_type:{kind}"));
        }
        steps.extend(side("quality", self.quality));
        steps.extend(self.format.filter(|f| *f != "origin").map(|f| format!("format:{f}")));
        if let Some((gravity, offsets)) = &self.gravity {
            let offsets = offsets.map(|(x, y)| format!(":{x}:{y}")).unwrap_or_default();
            steps.push(format!("gravity:{gravity}{offsets}"));
        }
        steps.join(",")
    }

    /// The steps as tokens hold them, and the format, which stands apart too.
    pub(super) fn claims(&self) -> (String, Option<&'static str>) {
        let mut claims = Vec::new();
        let side = |name: &str, n: Option<i64>| n.map(|n| format!("{name}:{n}"));
        claims.extend(side("height", self.height));
        claims.extend(side("width", self.width));
        claims.push(format!("resize:{}", self.resize.unwrap_or("undefined")));
        claims.extend(side("quality", self.quality));
        claims.extend(self.format.map(|f| format!("format:{f}")));
        if let Some((gravity, offsets)) = &self.gravity {
            claims.push(format!("gravity:{gravity}"));
            claims.extend(offsets.map(|(x, y)| format!("x_offset:{x},y_offset:{y}")));
        }
        (claims.join(","), self.format)
    }

    /// Reads the steps of a token.
    pub(super) fn from_claims(claims: &str) -> Result<Option<Self>> {
        let pairs = claims.split(',').filter_map(|pair| pair.split_once(':'));
        let pairs: Vec<_> = pairs
            .filter(|(_, value)| *value != "undefined")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self::from_fields(&Fields::query(&pairs))
    }
}

/// `GET /render/image/{access}/{bucket}/{key}`.
pub(super) fn render(cx: &Cx, access: Access, place: &Place) -> Result<Reply> {
    let transform = Transform::from_fields(&cx.fields())?;
    let bucket = readable(cx, access, NoHeader::BadToken, place)?;
    send(cx, &bucket, place, transform.as_ref(), &Keep::Stored)
}

/// `GET /render/image/sign/{bucket}/{key}`: the token says what is to be done.
pub(super) fn render_signed(cx: &Cx, place: &Place) -> Result<Reply> {
    let permit = sign::download_permit(cx, place)?;
    let transform = Transform::from_claims(permit.transformations.as_deref().unwrap_or_default())?;
    let bucket = cx.bucket(&place.bucket)?;
    send(cx, &bucket, place, transform.as_ref(), &Keep::Until(permit.expires))
}

fn send(
    cx: &Cx,
    bucket: &Bucket,
    place: &Place,
    transform: Option<&Transform>,
    keep: &Keep,
) -> Result<Reply> {
    let whole = |row: &Row<Object>| Ok::<_, Fail>((0, row.value.size));
    let opened = cx.service.storage.open_row(&bucket.object_key(&place.key), whole)?;
    let (row, reader) = opened.ok_or_else(Fail::no_object)??;
    let mut reply = described(cx, &row.value, keep, "stale-while-revalidate=30");
    if let Some(transform) = transform {
        reply.set(X_TRANSFORMATIONS, &transform.steps());
        reply.set(UNTRANSFORMED, "this server does not render images");
    }
    // Unlike a download, nothing is hidden from browsers here.
    reply.headers.remove(CONTENT_TYPE);
    reply.set(CONTENT_TYPE, &row.value.mimetype);
    Ok(reply.source(Source::File(reader)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Transform>> {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Transform::from_fields(&Fields::query(&pairs))
    }

    #[test]
    fn steps_and_claims() {
        let all =
            [("width", "200"), ("height", "100"), ("resize", "cover"), ("quality", "80"), ("format", "webp")];
        let transform = read(&all).unwrap().unwrap();
        assert_eq!(transform.steps(), "height:100,width:200,resizing_type:fill,quality:80,format:webp");
        let (claims, format) = transform.claims();
        assert_eq!(claims, "height:100,width:200,resize:cover,quality:80,format:webp");
        assert_eq!(format, Some("webp"));
        assert_eq!(Transform::from_claims(&claims).unwrap(), Some(transform));
        let wide = read(&[("width", "99999")]).unwrap().unwrap();
        assert_eq!(wide.claims().0, "width:2000,resize:undefined");
        assert_eq!(Transform::from_claims(&wide.claims().0).unwrap(), Some(wide));
    }

    #[test]
    fn refusals() {
        assert_eq!(read(&[("download", "x")]).unwrap(), None);
        let message = |pairs: &[(&str, &str)]| read(pairs).unwrap_err().message;
        assert_eq!(message(&[("width", "abc")]), "querystring/width must be integer");
        assert_eq!(message(&[("quality", "19")]), "querystring/quality must be >= 20");
        let missing = message(&[("width", "10"), ("gravity", "fp")]);
        assert_eq!(missing, "querystring must have required property 'x_offset'");
    }
}
