//! `knarr image import|ls|rm`.

use anyhow::Context;
use cri::{Cri, ImageSpec, ImageStatusRequest, ListImagesRequest, RemoveImageRequest};
use host::{Containerd, Layout};
use images::Importer;

use crate::cli::ImageCommand;
use crate::failure::failure;
use crate::say;

pub async fn run(layout: &Layout, command: &ImageCommand) -> anyhow::Result<()> {
    if Containerd::running(layout).is_none() {
        return Err(failure(format!("no cluster runs on {}", layout.data.display()), "start it with `knarr up`; archives in its folder `images` are imported at the start"));
    }
    match command {
        ImageCommand::Import { files } => {
            let importer = Importer::new(layout.containerd_socket(), layout.data.join("imported.json"));
            for file in files {
                let references = importer.import_file(file).await.with_context(|| format!("importing {}", file.display()))?;
                references.iter().for_each(|reference| say::line(format!("imported {reference}")));
            }
            Ok(())
        }
        ImageCommand::Ls => list(&Cri::new(layout.containerd_socket())).await,
        ImageCommand::Rm { images } => remove(&Cri::new(layout.containerd_socket()), images).await,
    }
}

async fn list(cri: &Cri) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for image in cri.list_images(ListImagesRequest::default()).await?.images {
        let id = image.id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        let size = format!("{:.1} MB", image.size as f64 / 1e6);
        let names = if image.repo_tags.is_empty() { image.repo_digests } else { image.repo_tags };
        rows.extend(names.into_iter().map(|name| vec![name, id.clone(), size.clone()]));
    }
    rows.sort();
    say::table(&["IMAGE", "ID", "SIZE"], &rows);
    Ok(())
}

async fn remove(cri: &Cri, images: &[String]) -> anyhow::Result<()> {
    for name in images {
        let image = Some(ImageSpec { image: name.clone(), ..ImageSpec::default() });
        let status = cri.image_status(ImageStatusRequest { image: image.clone(), verbose: false }).await?;
        if status.image.is_none() {
            return Err(failure(format!("there is no image {name}"), "`knarr image ls` shows the names"));
        }
        cri.remove_image(RemoveImageRequest { image }).await?;
        say::line(format!("removed {name}"));
    }
    Ok(())
}
