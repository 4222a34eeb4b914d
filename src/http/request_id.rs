//! One id per request: taken from the caller where it is sane, made otherwise, always answered.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use uuid::Uuid;

use crate::http::error::ApiError;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken over from a caller.
const LENGTH_MAX: usize = 128;

#[derive(Clone)]
struct RequestId(HeaderValue);

/// Middleware: gives the request its id and puts it on the answer.
pub async fn assign(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(&X_REQUEST_ID).filter(|value| is_sane(value)).cloned();
    let id = given.unwrap_or_else(generate);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut answer = next.call(request).await?;
    if let Some(error) = answer.response().error().and_then(|error| error.as_error::<ApiError>()) {
        error.log(id.to_str().unwrap_or_default());
    }
    answer.headers_mut().insert(X_REQUEST_ID.clone(), id);
    Ok(answer)
}

/// The id that [`assign`] gave this request.
pub fn of(request: &HttpRequest) -> String {
    let extensions = request.extensions();
    let id = extensions.get::<RequestId>().and_then(|id| id.0.to_str().ok());
    id.unwrap_or_default().to_owned()
}

fn is_sane(value: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    !value.is_empty() && value.len() <= LENGTH_MAX && value.as_bytes().iter().all(plain)
}

fn generate() -> HeaderValue {
    let text = format!("req_{}", Uuid::now_v7().simple());
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("req_unknown"))
}
