//! A serializer that refuses NaN and infinity, which JSON cannot express.
//!
//! `serde_json` writes them as `null`, so the number would be lost without an error.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// A value that fails to serialise if it holds a number that is not finite.
pub(crate) struct Finite<'v, T: ?Sized>(pub(crate) &'v T);

/// Forwards everything to a serializer, except numbers that are not finite.
struct FiniteOnly<S>(S);

impl<T: Serialize + ?Sized> Serialize for Finite<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(FiniteOnly(serializer))
    }
}

fn refused<E: Error>(number: impl Display) -> E {
    E::custom(format_args!("{number} is not a JSON number"))
}

macro_rules! passed_on {
    ($($method:ident($($name:ident: $type:ty),*);)+) => {
        $(fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.0.$method($($name),*)
        })+
    };
}

impl<S: Serializer> Serializer for FiniteOnly<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = FiniteOnly<S::SerializeSeq>;
    type SerializeTuple = FiniteOnly<S::SerializeTuple>;
    type SerializeTupleStruct = FiniteOnly<S::SerializeTupleStruct>;
    type SerializeTupleVariant = FiniteOnly<S::SerializeTupleVariant>;
    type SerializeMap = FiniteOnly<S::SerializeMap>;
    type SerializeStruct = FiniteOnly<S::SerializeStruct>;
    type SerializeStructVariant = FiniteOnly<S::SerializeStructVariant>;

    passed_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f32(value) } else { Err(refused(value)) }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f64(value) } else { Err(refused(value)) }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Finite(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Finite(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Finite(value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(FiniteOnly)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(FiniteOnly)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(FiniteOnly)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple_variant(name, index, variant, len).map(FiniteOnly)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(FiniteOnly)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(FiniteOnly)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, index, variant, len).map(FiniteOnly)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident;)+) => {
        $(impl<C: $trait> $trait for FiniteOnly<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.0.$method(&Finite(value))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        })+
    };
}

macro_rules! fields {
    ($($trait:ident;)+) => {
        $(impl<C: $trait> $trait for FiniteOnly<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.0.serialize_field(name, &Finite(value))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.0.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        })+
    };
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl<C: SerializeMap> SerializeMap for FiniteOnly<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_value(&Finite(value))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.0.serialize_entry(key, &Finite(value))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{json, value::RawValue};

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(f64),
        Tuple(f64, f32),
        Struct { number: f64 },
    }

    #[derive(Serialize)]
    struct Row {
        option: Option<f64>,
        list: Vec<f32>,
        pair: (f64, u128),
        map: BTreeMap<u8, f64>,
        shapes: Vec<Shape>,
    }

    fn row(number: f64, at: usize) -> Row {
        let at = |place| if at == place { number } else { 1.5 };
        #[expect(clippy::cast_possible_truncation, reason = "any number does")]
        let small = |place| at(place) as f32;
        Row {
            option: Some(at(0)),
            list: vec![0.5, small(1)],
            pair: (at(2), u128::MAX),
            map: BTreeMap::from([(7, at(3))]),
            shapes: vec![
                Shape::Unit,
                Shape::Newtype(at(4)),
                Shape::Tuple(at(5), small(6)),
                Shape::Struct { number: at(7) },
            ],
        }
    }

    #[test]
    fn finite_values_are_written_as_serde_json_writes_them() {
        let raw = RawValue::from_string("{\"n\": 1e400}".to_owned()).unwrap();
        let value = json!({"a": [1, 2.5, null, "x"], "b": {"c": true}});
        let texts = [
            (serde_json::to_string(&Finite(&row(2.5, 0))), serde_json::to_string(&row(2.5, 0))),
            (serde_json::to_string(&Finite(&raw)), serde_json::to_string(&raw)),
            (serde_json::to_string(&Finite(&value)), serde_json::to_string(&value)),
        ];
        for (finite, plain) in texts {
            assert_eq!(finite.unwrap(), plain.unwrap());
        }
    }

    #[test]
    fn nan_and_infinity_are_refused_at_any_depth() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in 0..8 {
                let row = row(number, place);
                assert!(serde_json::to_string(&row).unwrap().contains("null"), "serde_json");
                let refused = serde_json::to_string(&Finite(&row)).unwrap_err().to_string();
                assert_eq!(refused, format!("{number} is not a JSON number"), "place {place}");
            }
        }
    }
}
