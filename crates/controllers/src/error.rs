//! What ends the controllers.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caches did not fill, or the API could not be asked.
    #[error(transparent)]
    Client(#[from] client::Error),
}
