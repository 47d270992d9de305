//! Lists that come in pages: where the next page is, and whether the token may go there.

use url::Url;

use crate::http::Headers;

/// Where the rest of a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is no rest.
    End,
    /// On the page of this number of the same list.
    Number(u64),
    /// At a URL that the host gives.
    At(String),
}

/// The URL marked `rel="next"` in the `Link` headers of an answer (RFC 8288).
pub(super) fn linked(headers: &Headers) -> Next {
    headers.get_all("link").find_map(next_of).map_or(Next::End, Next::At)
}

/// The `next` of one header: `<url>; rel="prev", <url>; rel="next"`.
fn next_of(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (url, after) = after.split_once('>')?;
        // Parameters end where the next URL begins.
        let parameters = after.split_once('<').map_or(after, |(parameters, _)| parameters);
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                let relations = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(url.to_owned());
        }
        rest = after;
    }
    None
}

/// The URL of the next page of a list, or the place that it is at when that is not the API's own. The token goes with
/// each request, so a page is only asked for where the token is known already: same scheme, host and port, below the
/// same path.
pub(super) fn follow(api: &Url, list: &str, next: &str) -> Result<String, String> {
    let place = |url: &Url| url.host_str().unwrap_or("nowhere").to_owned();
    let next = Url::parse(list).and_then(|list| list.join(next)).map_err(|_| "no URL".to_owned())?;
    let below = api.path().trim_end_matches('/');
    let is_below = next.path().strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
    let has_login = !next.username().is_empty() || next.password().is_some();
    if next.origin() == api.origin() && is_below && !has_login { Ok(next.into()) } else { Err(place(&next)) }
}

/// The URL of a numbered page of a list.
pub(super) fn numbered(list: &str, number: u64) -> Result<String, String> {
    let mut url = Url::parse(list).map_err(|_| "no URL".to_owned())?;
    let others: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| name != "page").collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("page", &number.to_string());
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let table = [
            ("<https://a/x?page=2>; rel=\"next\"", Some("https://a/x?page=2")),
            (
                "<https://a/1>; rel=\"prev\", <https://a/3>; rel=\"next\", <https://a/9>; rel=\"last\"",
                Some("https://a/3"),
            ),
            ("<https://a/1,2;3>; title=\"x\"; rel=next", Some("https://a/1,2;3")),
            ("<https://a/3>; rel=\"last next\"", Some("https://a/3")),
            ("<https://a/1>; rel=\"prev\"", None),
            ("<https://a/1>; rel=\"nextish\"", None),
            ("<https://a/1; rel=\"next\"", None),
            ("", None),
        ];
        for (header, next) in table {
            assert_eq!(next_of(header).as_deref(), next, "{header}");
        }
    }

    #[test]
    fn a_next_page_is_at_the_api_or_nowhere() {
        let api = Url::parse("https://git.example.com/api/v3").unwrap();
        let list = "https://git.example.com/api/v3/repos/a/b/issues/1/comments?per_page=100";
        for next in [
            "https://git.example.com/api/v3/repositories/1/comments?page=2",
            "https://GIT.example.com:443/api/v3/x",
            "?page=2",
            "/api/v3/x",
        ] {
            follow(&api, list, next).unwrap_or_else(|place| panic!("{next}: {place}"));
        }
        let table = [
            ("https://evil.example/api/v3/x", "evil.example"),
            ("//evil.example/api/v3/x", "evil.example"),
            ("https://git.example.com.evil.example/api/v3/x", "git.example.com.evil.example"),
            ("https://git.example.com@evil.example/api/v3/x", "evil.example"),
            ("https://git.example.com:8443/api/v3/x", "git.example.com"),
            ("http://git.example.com/api/v3/x", "git.example.com"),
            ("https://me:pass@git.example.com/api/v3/x", "git.example.com"),
            ("https://git.example.com/api/v3x/y", "git.example.com"),
            ("https://git.example.com/api/v3/../../other", "git.example.com"),
            ("file:///etc/passwd", "nowhere"),
            ("https://", "no URL"),
        ];
        for (next, place) in table {
            assert_eq!(follow(&api, list, next), Err(place.to_owned()), "{next}");
        }
    }

    #[test]
    fn an_api_at_the_root_of_its_host_has_next_pages_too() {
        let api = Url::parse("https://api.github.com").unwrap();
        let list = "https://api.github.com/repos/a/b/issues/1/comments";
        assert!(follow(&api, list, "https://api.github.com/repositories/1/issues/1/comments?page=2").is_ok());
    }

    #[test]
    fn a_page_by_number_is_of_the_same_list() {
        let list = "https://a.example/projects/a%2Fb/notes?per_page=100&page=1&sort=asc";
        assert_eq!(numbered(list, 2).unwrap(), "https://a.example/projects/a%2Fb/notes?per_page=100&sort=asc&page=2");
    }
}
