//! The page: complete, in its place, and harmless. `make coverage-test` checks it in a browser.

use std::{env, fs, os::unix::fs::PermissionsExt};

use super::landing;
use crate::{landing::Landing, running::until};

#[test]
fn a_page_replaces_an_older_one_and_leaves_no_other_file() {
    let landing = landing();
    landing.file("out/coverage.html", "old");
    let answer = landing.rawsink(["coverage", "--html", "out/coverage.html"]).exits(1);
    assert_eq!(answer.stdout, "", "the page is the answer");
    answer.says(&["1 validated, 1 sealed only"]);
    let page = fs::read_to_string(landing.dir().join("out/coverage.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains(r#"["google_ads","123","campaign","vfsu",["#), "{page}");
    assert_eq!(fs::read_dir(landing.dir().join("out")).unwrap().count(), 1);
    let json = landing.rawsink(["coverage", "--json", "--html", "page.html"]).exits(1).json();
    assert_eq!(json.len(), 4, "a program gets its cells all the same");
    assert!(landing.dir().join("page.html").exists());
}

#[test]
fn a_page_is_shown_in_the_browser_on_request() {
    let landing = landing();
    let browser = landing.file(
        "bin/xdg-open",
        "#!/bin/sh\necho \"$1\" > \"$1.draft\"; mv \"$1.draft\" \"$1.shown\"\n",
    );
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", browser.parent().unwrap().display(), env::var("PATH").unwrap());
    let landing = landing.with("PATH", path);
    landing.rawsink(["coverage", "--html", "page.html"]).exits(1).says(&["wrote page.html"]);
    assert!(!landing.dir().join("page.html.shown").exists());
    landing.rawsink(["coverage", "--html", "page.html", "--open"]).exits(1);
    until("the page is shown", || landing.dir().join("page.html.shown").exists());
    landing.rawsink(["coverage", "--open"]).exits(2);
}

#[test]
fn a_page_is_never_put_among_the_partitions() {
    let landing = landing();
    let before = landing.snapshot();
    std::os::unix::fs::symlink("raw", landing.dir().join("data/link")).unwrap();
    for place in ["data/raw/page.html", "data/link/page.html", "./data/raw/google_ads/page.html"] {
        let answer = landing.rawsink(["coverage", "--html", place]).exits(2);
        assert!(answer.one_error("Invalid").contains("below the sink's root"), "{answer:#?}");
    }
    for place in ["nowhere/page.html", "data", "data/.."] {
        landing.rawsink(["coverage", "--html", place]).exits(2).one_error("Invalid");
    }
    // The page would replace a link or, for root, even a device.
    let (link, socket) = (landing.dir().join("link"), landing.dir().join("socket"));
    std::os::unix::fs::symlink("elsewhere.html", &link).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for place in [link, socket] {
        let answer = landing.rawsink(["coverage", "--html", place.to_str().unwrap()]).exits(2);
        assert!(answer.one_error("Invalid").contains("a file that is not regular"), "{answer:#?}");
        fs::remove_file(place).unwrap();
    }
    fs::remove_file(landing.dir().join("data/link")).unwrap();
    let after = landing.snapshot();
    assert!(after.keys().eq(before.keys()), "{:?}", landing.files());
}

#[test]
fn names_and_reasons_are_no_markup() {
    let landing = Landing::new();
    let customer = "\"><script>alert(1)<!--";
    let path = format!("ads/customer_id={customer}/query_name=q/logical_date=2024-06-01");
    landing.feed(["write", &path], "{}\n").exits(0);
    landing.rawsink(["coverage", "--html", "page.html"]).exits(1);
    let page = fs::read_to_string(landing.dir().join("page.html")).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains("<!--"), "{page}");
    assert!(page.contains(r#""\">\u003cscript>alert(1)\u003c!--""#), "{page}");
}

#[test]
fn a_new_page_is_not_for_all_users_and_a_replaced_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let landing = landing();
    let page = landing.dir().join("page.html");
    let mode = || fs::metadata(&page).unwrap().permissions().mode() & 0o777;
    for (umask, expected) in [("000", 0o640), ("022", 0o640), ("077", 0o600)] {
        landing.shell(&format!("umask {umask}; rawsink coverage --html page.html")).exits(1);
        assert_eq!(mode(), expected, "umask {umask}");
        fs::remove_file(&page).unwrap();
    }
    for kept in [0o644, 0o666, 0o600] {
        landing.file("page.html", "old");
        fs::set_permissions(&page, fs::Permissions::from_mode(kept)).unwrap();
        landing.shell("umask 027; rawsink coverage --html page.html").exits(1);
        assert_eq!(mode(), kept);
        assert!(fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
    }
}
