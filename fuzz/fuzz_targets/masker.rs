//! The masker: a stream gives the same however it is cut, and no secret is left in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use worker::mask::{MASK, Masker};

// The first lines are secrets, the last one says where the rest is cut.
fuzz_target!(|input: (Vec<String>, Vec<u8>, Vec<u8>)| {
    let (secrets, text, cuts) = input;
    let named = secrets.iter().enumerate().map(|(at, value)| (at.to_string(), SecretString::from(value.as_str())));
    let mut masker = Masker::new(named);
    let mut whole = Vec::new();
    masker.push(&text, &mut whole);
    masker.finish(&mut whole);
    let (mut pieces, mut rest) = (Vec::new(), text.as_slice());
    for cut in cuts {
        let (piece, other) = rest.split_at(usize::from(cut).min(rest.len()));
        masker.push(piece, &mut pieces);
        rest = other;
    }
    masker.push(rest, &mut pieces);
    masker.finish(&mut pieces);
    assert_eq!(whole, pieces);
    // A text that the mask itself makes, with what is around it, is no secret that came through.
    for secret in secrets.iter().filter(|secret| secret.trim().chars().count() >= 4 && !secret.contains('*')) {
        let found = whole.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret:?} is in the output; the mask is {MASK}");
    }
});
