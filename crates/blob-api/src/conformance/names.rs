//! Names that are unusual. A store keeps them byte for byte, or refuses them before anything is sent.

use longshore_core_types::ObjectKey;

use super::{
    Namespace,
    check::{Outcome, absent, holds, refused_unsent},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, HeadOptions};

cases! { "names" [writable, listable]:
    spaces_and_punctuation;
    characters_of_urls;
    escapes_are_no_escapes;
    beyond_ascii;
    forms_of_the_same_letter;
    upper_and_lower_case;
    long;
    nested_deeply;
    dot_segments;
    slash_at_the_start;
    slash_at_the_end;
    slashes_in_a_row;
    control_characters;
    object_above_objects [no_path_conflicts];
    like_patterns;
}

/// Each name is kept or refused: what is kept shows in answers and listings as it is, and refused names leave no
/// trace.
async fn kept_or_refused(store: &AnyStore, ns: &Namespace, names: &[&str]) -> Outcome {
    let mut kept = Vec::new();
    for (name, number) in names.iter().zip(0u8..) {
        let key = ns.key(name)?;
        match store.write(&key, vec![number; 3]).await {
            Ok(_) => kept.push((*name, key, number)),
            refusal => refused_unsent(refusal, &format!("put of {name:?}"))?,
        }
    }
    for (name, key, number) in &kept {
        ensure_eq!(store.head(key, HeadOptions::default()).await?.key, *key, "name in the answer of head");
        holds(store, key, &[*number; 3]).await?;
        let listed = ns.names(store, ns.list(name)).await?;
        ensure!(listed.iter().any(|found| found == name), "{name:?} is not listed under itself: {listed:?}");
    }
    let mut expected: Vec<&str> = kept.iter().map(|(name, ..)| *name).collect();
    expected.sort_unstable();
    let mut listed = ns.names(store, ns.list("")).await?;
    listed.sort_unstable();
    ensure_eq!(listed, expected, "names in a listing");
    for (_, key, _) in kept {
        store.delete(&key, DeleteOptions::default()).await?;
        absent(store, &key).await?;
    }
    Ok(())
}

async fn spaces_and_punctuation(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names = [
        "two words",
        " lead",
        "trail ",
        "a,b",
        "a;b",
        "a!b",
        "a'b",
        "a\"b",
        "a(b)",
        "a$b",
        "a@b",
        "a:b",
        "a|b",
        "a`b",
        "a^b",
        "a~b",
        "a<b>",
        "a{b}",
        "a_b",
        "a-b",
        "a.b",
    ];
    kept_or_refused(store, ns, &names).await
}

async fn characters_of_urls(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names = ["a?b", "a#b", "a&b=c", "a+b", "a=b", "?", "#", "a?b=c&d#e", "http://x/y"];
    // `//` has a case of its own.
    kept_or_refused(store, ns, &names[..8]).await
}

async fn escapes_are_no_escapes(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["a%20b", "a b", "a%2Fb", "a%", "a%zz", "a%25", "a\\b", "%41"]).await
}

async fn beyond_ascii(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(
        store,
        ns,
        &["\u{fc}ber", "\u{4f60}\u{597d}/\u{4e16}\u{754c}", "\u{1F600}", "\u{10FFFF}", "\u{5d0}"],
    )
    .await
}

async fn forms_of_the_same_letter(store: &AnyStore, ns: &Namespace) -> Outcome {
    // One code point, and a letter with a combining accent.
    kept_or_refused(store, ns, &["caf\u{e9}", "cafe\u{301}"]).await
}

async fn upper_and_lower_case(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["Name", "name", "NAME"]).await
}

async fn long(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (medium, over) = ("m".repeat(200), "o".repeat(5000));
    let path = "segment/".repeat(70) + "end";
    kept_or_refused(store, ns, &[&medium, &path, &over]).await
}

async fn nested_deeply(store: &AnyStore, ns: &Namespace) -> Outcome {
    let deep = "d/".repeat(40) + "end";
    kept_or_refused(store, ns, &[&deep, "d/other"]).await
}

async fn dot_segments(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(
        store,
        ns,
        &[".", "..", "./a", "../a", "a/./b", "a/../b", "a/..", "...", ".hidden", "a/.b"],
    )
    .await
}

async fn slash_at_the_start(store: &AnyStore, _: &Namespace) -> Outcome {
    // Without the common part, which would hide the slash.
    let key = ObjectKey::new("/conformance-names-slash-at-the-start")?;
    match store.write(&key, "x").await {
        Ok(_) => {
            holds(store, &key, b"x").await?;
            let bare = ObjectKey::new("conformance-names-slash-at-the-start")?;
            absent(store, &bare).await?;
            store.delete(&key, DeleteOptions::default()).await?;
            absent(store, &key).await
        }
        refusal => refused_unsent(refusal, "put of a name that starts with a slash"),
    }
}

async fn slash_at_the_end(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["dir/", "dir/file"]).await
}

async fn slashes_in_a_row(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["a//b", "a/b", "a///b"]).await
}

async fn control_characters(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["a\nb", "a\tb", "a\rb", "a\0b", "a\u{7f}b", "a\u{1b}b"]).await
}

async fn object_above_objects(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["a", "a/b", "a/b/c", "ab"]).await
}

async fn like_patterns(store: &AnyStore, ns: &Namespace) -> Outcome {
    kept_or_refused(store, ns, &["*", "a*", "[ab]", "a{0..3}", "{a,b}", "a-{001..002}"]).await
}
