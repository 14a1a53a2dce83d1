//! `helm plugin package` and `helm plugin verify`: archives of plugins, and their signatures.
// Upstream: helm pkg/cmd/plugin_package.go, plugin_verify.go.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::archive;
use crate::failure::{Failure, Outcome, io};
use crate::flags::{self, Read as _};
use crate::output::out;
use crate::plugins::Plugin;
use crate::source::provenance::{self, Verified};

pub fn package(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm plugin package", "[PATH]", 1)?;
    let path = Path::new(words[0]);
    if !std::fs::metadata(path).map_err(|e| io("stat", path, &e))?.is_dir() {
        return Err(Failure::new("plugin package only supports directories, not tarballs"));
    }
    let plugin = Plugin::read(path).map_err(|e| e.of("invalid plugin directory"))?;
    let folder = PathBuf::from(m.value("destination").filter(|d| !d.is_empty()).unwrap_or("."));
    std::fs::create_dir_all(&folder).map_err(|e| io("mkdir", &folder, &e))?;
    let (sign, ring) = (m.on("sign"), provenance::keyring(m));
    if sign {
        provenance::keys(&ring).map_err(|e| e.of("error reading from keyring"))?;
    } else {
        out("WARNING: Skipping plugin signing. This is not recommended for plugins intended for distribution.\n");
    }
    let name = format!("{}-{}.tgz", plugin.name, plugin.version);
    let bytes = archive::pack(path, &plugin.name)?;
    let signed = match sign {
        true => Some(provenance::sign(&bytes, &name, &plugin.value, &ring, m.value("key").unwrap_or_default(), || crate::commands::package::passphrase(m))?),
        false => None,
    };
    let shown = |file: &str| if folder == Path::new(".") { file.to_owned() } else { folder.join(file).display().to_string() };
    std::fs::write(folder.join(&name), &bytes).map_err(|e| io("failed to create tarball: open", &folder.join(&name), &e))?;
    if let Some(signed) = signed {
        let beside = folder.join(format!("{name}.prov"));
        std::fs::write(&beside, signed).map_err(|e| io("open", &beside, &e))?;
        out(&format!("Successfully signed. Signature written to: {}\n", shown(&format!("{name}.prov"))));
    }
    out(&format!("Successfully packaged plugin and saved it to: {}\n", shown(&name)));
    Ok(())
}

pub fn verify(m: &ArgMatches) -> Outcome {
    let words = flags::exactly(m, "helm plugin verify", "[PATH]", 1)?;
    let path = Path::new(words[0]);
    if std::fs::metadata(path).map_err(|e| io("stat", path, &e))?.is_dir() {
        return Err(Failure::new("directory verification not supported - only plugin tarballs can be verified"));
    }
    if !words[0].ends_with(".tgz") && !words[0].ends_with(".tar.gz") {
        return Err(Failure::new("plugin file must be a gzipped tarball (.tar.gz or .tgz)"));
    }
    let beside = PathBuf::from(format!("{}.prov", path.display()));
    let signed = std::fs::read(&beside).map_err(|e| io("stat", &beside, &e).of(format!("could not find provenance file {}", beside.display())))?;
    let bytes = std::fs::read(path).map_err(|e| io("failed to read plugin file: open", path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    out(&told(&provenance::verify(&bytes, &name, &signed, &provenance::keyring(m))?));
    Ok(())
}

pub fn told(verified: &Verified) -> String {
    let signers: String = verified.signers.iter().map(|s| format!("Signed by: {s}\n")).collect();
    format!("{signers}Using Key With Fingerprint: {}\nPlugin Hash Verified: {}\n", verified.fingerprint, verified.file_hash)
}
