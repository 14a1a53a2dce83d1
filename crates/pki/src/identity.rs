//! Who a client certificate speaks for. Never verifies: TLS has done that before.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;

/// The common name (user) and organisations (groups) of a certificate's subject.
// Upstream: staging/src/k8s.io/apiserver/pkg/authentication/request/x509/x509.go CommonNameUserConversion.
pub fn peer_identity(der: &[u8]) -> Result<(String, Vec<String>), Error> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(Error::certificate)?;
    let subject = certificate.subject();
    let text = |a: &x509_parser::x509::AttributeTypeAndValue<'_>| a.as_str().map(str::to_owned).map_err(Error::certificate);
    let user = match subject.iter_common_name().last() {
        Some(name) => text(name)?,
        None => return Err(Error::Certificate("the subject has no common name".into())),
    };
    if user.is_empty() {
        return Err(Error::Certificate("the common name is empty".into()));
    }
    let groups = subject.iter_organization().map(text).collect::<Result<_, _>>()?;
    Ok((user, groups))
}

/// When a certificate ends, in seconds since 1970.
pub fn expires(der: &[u8]) -> Result<i64, Error> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(Error::certificate)?;
    Ok(certificate.validity().not_after.timestamp())
}
