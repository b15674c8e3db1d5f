//! Checks of a call against a capability, for stores to make before they send anything.

use longshore_core_types::{Attributes, Error, ErrorKind, Payload, Result};

use crate::{
    Capability, CopyOptions, DeleteOptions, GetOptions, HeadOptions, ListOptions, MultipartLimits,
    PartNumber, PartReceipt, PinKind, PutOptions, SignMethod, SignRequest,
};

/// Each check answers `Ok` if the store can do what is asked, [`ErrorKind::Unsupported`] if it cannot, and
/// [`ErrorKind::InvalidInput`] if nobody can.
///
/// A store that begins its methods with them keeps the promise that it refuses what it lacks before anything
/// is sent, and that its [`Capability`] agrees with what it does. The errors name neither call nor object; add
/// them with [`Error::with_call`].
impl Capability {
    /// Options of [`head`](crate::BlobStore::head).
    pub fn check_head(&self, opts: &HeadOptions) -> Result<()> {
        require(self.if_match || opts.if_match.is_none(), "conditions on the current entity tag")?;
        require(self.if_none_match || opts.if_none_match.is_none(), "conditions on another entity tag")
    }

    /// Options of [`get`](crate::BlobStore::get). An empty range is `InvalidInput`.
    pub fn check_get(&self, opts: &GetOptions) -> Result<()> {
        use longshore_core_types::ByteRange::{Bounded, From, Suffix};
        match opts.range {
            None => {}
            Some(range @ (Bounded { .. } | From(_))) => {
                require(self.ranged_get, "reading a range of an object")?;
                range.to_header()?;
            }
            Some(range @ Suffix(_)) => {
                require(self.suffix_range, "reading the last bytes of an object")?;
                range.to_header()?;
            }
        }
        require(self.pin != PinKind::None || opts.pin.is_none(), "insisting on one version of an object")?;
        require(self.if_match || opts.if_match.is_none(), "conditions on the current entity tag")?;
        require(self.if_none_match || opts.if_none_match.is_none(), "conditions on another entity tag")
    }

    /// [`get_many`](crate::BlobStore::get_many).
    pub fn check_get_many(&self) -> Result<()> {
        require(self.get_many, "reading many objects in one request")
    }

    /// Options and body of [`put`](crate::BlobStore::put).
    pub fn check_put(&self, body: &Payload, opts: &PutOptions) -> Result<()> {
        self.check_create(opts)?;
        let length = body.len();
        require(!self.put_requires_length || length.is_some(), "a body of unknown length")?;
        match (length, self.max_put.or(self.max_object)) {
            (Some(length), Some(most)) if length > most => {
                Err(invalid(format!("a body of {length} bytes is over the limit of {most} bytes")))
            }
            _ => Ok(()),
        }
    }

    /// Options of [`delete`](crate::BlobStore::delete).
    pub fn check_delete(&self, opts: &DeleteOptions) -> Result<()> {
        self.check_write()?;
        require(self.if_match || opts.if_match.is_none(), "conditions on the current entity tag")
    }

    /// Options of [`copy`](crate::BlobStore::copy).
    pub fn check_copy(&self, opts: &CopyOptions) -> Result<()> {
        self.check_write()?;
        require(self.copy, "copying an object at the server")?;
        self.check_copy_options(opts)
    }

    /// Options of [`copy_from`](crate::BlobStore::copy_from), which works where
    /// [`can_copy_from`](crate::BlobStore::can_copy_from) says so.
    pub fn check_copy_options(&self, opts: &CopyOptions) -> Result<()> {
        require(self.create_only || !opts.create_only, "creating an object only if there is none")?;
        opts.attributes.as_ref().map_or(Ok(()), |attributes| self.check_attributes(attributes))
    }

    /// Options of [`list_page`](crate::BlobStore::list_page). A page size of zero is `InvalidInput`.
    pub fn check_list(&self, opts: &ListOptions) -> Result<()> {
        require(!self.unlisted, "listing")?;
        require(self.list_delimiter || !opts.delimited, "listing one level")?;
        require(self.list_start_after || opts.start_after.is_none(), "listing from after a name")?;
        match opts.page_size {
            Some(0) => Err(invalid("a page of a listing cannot have zero entries")),
            _ => Ok(()),
        }
    }

    /// Any call on uploads in parts; answers their rules.
    pub fn check_multipart(&self) -> Result<&MultipartLimits> {
        self.check_write()?;
        self.multipart.as_ref().ok_or_else(|| unsupported("uploading in parts"))
    }

    /// Options of [`create_multipart`](crate::BlobStore::create_multipart).
    pub fn check_create_multipart(&self, opts: &PutOptions) -> Result<()> {
        self.check_multipart()?;
        self.check_create(opts)
    }

    /// Number and body of [`upload_part`](crate::BlobStore::upload_part).
    pub fn check_part(&self, number: PartNumber, body: &Payload) -> Result<()> {
        let limits = self.check_multipart()?;
        if number.get() > limits.max_parts {
            let most = limits.max_parts;
            return Err(invalid(format!("part number {number} is over the limit of {most} parts")));
        }
        match body.len() {
            Some(length) if length > limits.max_part => {
                let most = limits.max_part;
                Err(invalid(format!("part {number} has {length} bytes, over the limit of {most} bytes")))
            }
            _ => Ok(()),
        }
    }

    /// Receipts for [`complete_multipart`](crate::BlobStore::complete_multipart): at least one, numbers
    /// ascending, sizes by the rules.
    pub fn check_complete(&self, parts: &[PartReceipt]) -> Result<()> {
        let limits = self.check_multipart()?;
        let Some((tail, rest)) = parts.split_last() else {
            return Err(invalid("an upload cannot be completed without parts"));
        };
        if let Some(pair) = parts.windows(2).find(|pair| pair[0].number >= pair[1].number) {
            let (first, second) = (pair[0].number, pair[1].number);
            return Err(invalid(format!("parts must ascend: {second} follows {first}")));
        }
        if let Some(part) = rest.iter().find(|part| part.size < limits.min_part) {
            let (number, size, least) = (part.number, part.size, limits.min_part);
            return Err(invalid(format!(
                "part {number} has {size} bytes; all but the last need at least {least}"
            )));
        }
        let uneven = |part: &&PartReceipt| part.size != parts[0].size;
        if limits.equal_parts && (rest.iter().find(uneven).is_some() || tail.size > parts[0].size) {
            return Err(invalid("all parts but the last must have one size, and the last no more"));
        }
        Ok(())
    }

    /// [`list_parts`](crate::BlobStore::list_parts).
    pub fn check_list_parts(&self) -> Result<()> {
        require(self.check_multipart()?.list_parts, "listing the parts of an upload")
    }

    /// [`list_uploads`](crate::BlobStore::list_uploads).
    pub fn check_list_uploads(&self) -> Result<()> {
        require(self.check_multipart()?.list_uploads, "listing uploads")
    }

    /// [`sign`](crate::BlobStore::sign).
    pub fn check_sign(&self, request: &SignRequest) -> Result<()> {
        match request.method {
            SignMethod::Get => require(self.sign_get, "signing a URL for reading"),
            SignMethod::Put => require(self.sign_put, "signing a URL for writing"),
        }
    }

    /// Any change.
    pub fn check_write(&self) -> Result<()> {
        require(!self.read_only, "changes: it is read-only")
    }

    fn check_create(&self, opts: &PutOptions) -> Result<()> {
        self.check_write()?;
        require(self.create_only || !opts.create_only, "creating an object only if there is none")?;
        require(self.if_match || opts.if_match.is_none(), "conditions on the current entity tag")?;
        if opts.create_only && opts.if_match.is_some() {
            return Err(invalid("an object cannot be both absent and of a given entity tag"));
        }
        if let Some(checksum) = &opts.checksum {
            let kind = checksum.kind();
            require(self.checksums.contains(&kind), format!("verifying a {kind} checksum"))?;
        }
        self.check_attributes(&opts.attributes)
    }

    fn check_attributes(&self, attributes: &Attributes) -> Result<()> {
        let mut headers = attributes.clone();
        headers.metadata.clear();
        require(self.content_headers || headers.is_empty(), "storing content headers")?;
        require(self.user_metadata || attributes.metadata.is_empty(), "storing user metadata")
    }
}

fn require(can: bool, what: impl AsRef<str>) -> Result<()> {
    if can { Ok(()) } else { Err(unsupported(what)) }
}

fn unsupported(what: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this store does not support {}", what.as_ref()))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sizes: &[u64]) -> Vec<PartReceipt> {
        let part = |(number, size): (u32, &u64)| PartReceipt::new(PartNumber::from_index(number), *size);
        (0..).zip(sizes).map(part).collect()
    }

    #[test]
    fn a_store_that_says_nothing_refuses_every_option() {
        let can = Capability::default();
        let refused = [
            can.check_get(&GetOptions::default().with_range(0..1)),
            can.check_get(&GetOptions::default().with_if_match("e")),
            can.check_put(&Payload::empty(), &PutOptions::default().with_create_only()),
            can.check_list(&ListOptions::default().with_delimiter()),
            can.check_list_uploads(),
            can.check_get_many(),
        ];
        for result in refused {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(can.check_get(&GetOptions::default()).is_ok());
        assert!(can.check_put(&Payload::empty(), &PutOptions::default()).is_ok());
        assert!(can.check_list(&ListOptions::default()).is_ok());
    }

    #[test]
    fn parts_follow_the_rules() {
        let limits = MultipartLimits { min_part: 5, equal_parts: true, ..MultipartLimits::default() };
        let can = Capability { multipart: Some(limits), ..Capability::default() };
        for good in [&[5][..], &[1], &[5, 5, 3], &[7, 7]] {
            assert!(can.check_complete(&parts(good)).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &[4, 5], &[5, 6], &[6, 5, 1]] {
            assert_eq!(
                can.check_complete(&parts(bad)).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad:?}"
            );
        }
        let mut twice = parts(&[5, 5]);
        twice[1].number = twice[0].number;
        assert_eq!(can.check_complete(&twice).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
