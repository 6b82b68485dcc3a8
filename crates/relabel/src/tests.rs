use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

#[test]
fn hash_is_the_low_half_of_md5() {
    // MD5 of the empty text is a published constant, d41d8cd98f00b204 e9800998ecf8427e.
    assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
    assert!(labels(&[]).is_empty());
}
