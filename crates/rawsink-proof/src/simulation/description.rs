//! Requests and answers in words, for the trace of a seed.

use fake_s3::format_name as name;

use super::requests::{Request, ServerReply};

/// Describes a request.
pub(super) fn request(request: &Request) -> String {
    match request {
        Request::List { after: None, .. } => "LIST".to_owned(),
        Request::List { after: Some(after), .. } => format!("LIST after {}", file_name(after)),
        Request::Head { key } => format!("HEAD {}", file_name(key)),
        Request::Get { key } => format!("GET {}", file_name(key)),
        Request::Put { key, body, token, condition } => {
            let (name, bytes) = (file_name(key), body.len());
            format!("PUT {name} {condition:?}, {bytes} bytes, token {}", short(token))
        }
        Request::CreateUpload { token, .. } => format!("create upload, token {}", short(token)),
        Request::UploadPart { upload, number, body } => {
            format!("part {number} of upload {}, {} bytes", short(&name(*upload)), body.len())
        }
        Request::ListUploads { .. } => "list uploads".to_owned(),
        Request::Complete { upload, condition, .. } => {
            format!("complete upload {} {condition:?}", short(&name(*upload)))
        }
        Request::Abort { upload } => format!("abort upload {}", short(&name(*upload))),
        Request::ListUploadsBelow { prefix, after } => {
            let page = if after.is_some() { ", next page" } else { "" };
            format!("list uploads below {prefix:?}{page}")
        }
        Request::ListParts { upload } => format!("list parts of upload {}", short(&name(*upload))),
        Request::Delete { key, tag } => {
            format!("DELETE {} if tag {:?}", file_name(key), tag.map(name))
        }
    }
}

/// Describes an answer.
pub(super) fn reply(reply: &ServerReply) -> String {
    match reply {
        ServerReply::Listed(page, next) => {
            let keys: Vec<_> = page.iter().map(|(key, _)| file_name(key)).collect();
            format!("{keys:?}{}", if next.is_some() { " and more" } else { "" })
        }
        ServerReply::Head(None) | ServerReply::Content(None) => "not found".to_owned(),
        ServerReply::Head(Some(head)) | ServerReply::Content(Some((head, _))) => {
            let token = head.metadata.as_deref().map_or("none", short);
            format!("{} bytes, token {token}, tag {}", head.bytes, short(&name(head.tag)))
        }
        ServerReply::Created(tag) | ServerReply::PartTaken(tag) => {
            format!("tag {}", short(&name(*tag)))
        }
        ServerReply::UploadCreated(id) => format!("upload {}", short(&name(*id))),
        ServerReply::Uploads(open) => {
            let ids: Vec<_> = open.iter().map(|open| short(&name(open.id)).to_owned()).collect();
            format!("uploads {ids:?}")
        }
        ServerReply::Completed(tag) => format!("completed, tag {:?}", tag.map(name)),
        ServerReply::UploadPage(page, next) => {
            let ids: Vec<_> =
                page.iter().map(|(_, open)| short(&name(open.id)).to_owned()).collect();
            format!("uploads {ids:?}{}", if next.is_some() { " and more" } else { "" })
        }
        ServerReply::Parts(bytes, _) => format!("{bytes} bytes"),
        ServerReply::Aborted => "aborted".to_owned(),
        ServerReply::Deleted => "deleted".to_owned(),
        ServerReply::Refused(error) => format!("{} {}", error.status(), error.code()),
    }
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Returns the first digits of a name, which tell it from others.
fn short(name: &str) -> &str {
    name.get(..6).unwrap_or(name)
}
