//! A server's bytes on a SPDY connection: never a panic, every stream ends, and no stream gets more than was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spdy::Connection;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let got = runtime.block_on(async {
        let connection = Connection::new(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink(), None);
        let first = connection.open(&[("streamtype", "error")]).await;
        let second = connection.open(&[("streamtype", "data")]).await;
        let read = async |stream: std::io::Result<(spdy::StreamReader, spdy::StreamWriter)>| {
            let Ok((mut reader, _writer)) = stream else { return 0 };
            let mut read = 0;
            while let Some(part) = reader.next().await {
                read += part.len();
            }
            read
        };
        let both = tokio::join!(read(first), read(second));
        connection.closed().await;
        both.0 + both.1
    });
    assert!(got <= bytes.len(), "{got} of {}", bytes.len());
});
