//! Names that are shortened in the middle and stay distinct.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const ELLIPSIS: char = '…';

/// Returns the number of columns of a name.
pub(super) fn width(name: &str) -> usize {
    name.width()
}

/// Returns the number of columns of the widest name.
pub(super) fn widest(names: &BTreeSet<&str>) -> usize {
    names.iter().map(|name| width(name)).max().unwrap_or(0)
}

/// Returns each name with at most `limit` columns, or with a few more if different names would look the
/// same.
pub(super) fn shortened(names: &BTreeSet<&str>, limit: usize) -> BTreeMap<String, String> {
    for limit in limit.max(1)..widest(names) {
        let middle = limit / 2;
        // Beginnings of every length, the balanced one first.
        let mut heads: Vec<usize> = (0..limit).collect();
        heads.sort_by_key(|head| head.abs_diff(middle));
        for head in heads {
            let short: Vec<String> = names.iter().map(|name| cut(name, head, limit)).collect();
            if short.iter().collect::<BTreeSet<_>>().len() == names.len() {
                return names.iter().map(|name| (*name).to_owned()).zip(short).collect();
            }
        }
    }
    names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect()
}

/// Returns a name with at most `limit` columns, up to `head` of them from its beginning.
fn cut(name: &str, head: usize, limit: usize) -> String {
    if width(name) <= limit {
        return name.to_owned();
    }
    let beginning = taken(name.chars(), head);
    let end = taken(name.chars().rev(), limit - 1 - head);
    beginning.into_iter().chain([ELLIPSIS]).chain(end.into_iter().rev()).collect()
}

/// Takes characters as long as they fit.
fn taken(chars: impl Iterator<Item = char>, room: usize) -> Vec<char> {
    let mut used = 0;
    let fitting = chars.take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= room
    });
    fitting.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(names: &[&str], limit: usize) -> Vec<String> {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        shortened(&names, limit).into_values().collect()
    }

    #[test]
    fn a_long_name_loses_its_middle() {
        assert_eq!(short(&["campaign_daily_performance", "ad"], 11), ["ad", "campa…mance"]);
        assert_eq!(short(&["campaign"], 8), ["campaign"]);
        assert_eq!(short(&["日本語の名前"], 7), ["日…前"]);
    }

    #[test]
    fn different_names_never_look_the_same() {
        // They differ near the end, so more of the end is kept.
        let names = ["daily_report_a_of_customers", "daily_report_b_of_customers"];
        assert_eq!(short(&names, 14), ["…a_of_customers", "…b_of_customers"]);
        let names = ["a_long_name_1_x", "a_long_name_2_x"];
        assert_eq!(short(&names, 8), ["a_lo…1_x", "a_lo…2_x"]);
        for limit in 1..20 {
            let all: BTreeSet<String> =
                short(&["1234567890", "1234067890", "123"], limit).into_iter().collect();
            assert_eq!(all.len(), 3, "{limit}");
        }
    }
}
