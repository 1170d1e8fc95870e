//! A selection of logical partitions.

use super::{LogicalDate, PartitionKey};

/// A selection of logical partitions. A field that is `None` matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The upstream system.
    pub source: Option<String>,
    /// The customer.
    pub customer_id: Option<String>,
    /// The query.
    pub query_name: Option<String>,
    /// The first reporting day, inclusive.
    pub since: Option<LogicalDate>,
    /// The last reporting day, inclusive.
    pub until: Option<LogicalDate>,
}

impl Selection {
    /// Returns whether the selection matches a logical partition.
    pub fn contains(&self, key: &PartitionKey) -> bool {
        let names = [
            (&self.source, key.source()),
            (&self.customer_id, key.customer_id()),
            (&self.query_name, key.query_name()),
        ];
        let day = key.logical_date();
        names.iter().all(|(wanted, name)| wanted.as_ref().is_none_or(|wanted| wanted == name))
            && self.since.is_none_or(|since| since <= day)
            && self.until.is_none_or(|until| day <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_given_component_must_match() {
        let key = PartitionKey::new("ads", "1", "campaign", "2024-06-02").unwrap();
        let day = |text: &str| text.parse().ok();
        let name = |text: &str| Some(text.to_owned());
        let all = Selection::default();
        assert!(all.contains(&key));
        for (selection, expected) in [
            (Selection { source: name("ads"), ..all.clone() }, true),
            (Selection { source: name("ad"), ..all.clone() }, false),
            (Selection { customer_id: name("1"), ..all.clone() }, true),
            (Selection { customer_id: name("10"), ..all.clone() }, false),
            (Selection { query_name: name("campaign"), ..all.clone() }, true),
            (Selection { query_name: name("Campaign"), ..all.clone() }, false),
            (Selection { since: day("2024-06-02"), ..all.clone() }, true),
            (Selection { since: day("2024-06-03"), ..all.clone() }, false),
            (Selection { until: day("2024-06-02"), ..all.clone() }, true),
            (Selection { until: day("2024-06-01"), ..all.clone() }, false),
            (Selection { customer_id: name("1"), until: day("2024-06-01"), ..all.clone() }, false),
        ] {
            assert_eq!(selection.contains(&key), expected, "{selection:?}");
        }
    }
}
