//! The client: one method per call, over one shared HTTP/2 connection on the runtime's unix socket.
//!
//! Never blocks without end: every call but the pull of an image and the stop of a container has a time of two minutes, as upstream's.
//! Cloning is cheap and shares the connection, which mends itself.

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_prost::ProstCodec;

use crate::Error;
use crate::image::*;
use crate::runtime::*;
use crate::sandbox::*;
use crate::stats::*;

/// Upstream: runtimeRequestTimeout defaults to two minutes.
const CALL_TIME: Duration = Duration::from_secs(120);
/// Exec output and lists can be large; upstream allows 16 MiB.
const MESSAGE_BYTES: usize = 16 << 20;

/// A client of one runtime.
#[derive(Clone, Debug)]
pub struct Cri {
    pub(crate) channel: Channel,
}

impl Cri {
    /// Does not connect yet: the first call does, and a lost connection is made again by the next call.
    ///
    /// Must be called within a tokio runtime.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://runtime.invalid").connect_timeout(Duration::from_secs(5));
        Self { channel: endpoint.connect_with_connector_lazy(connector) }
    }

    async fn call<Req, Res>(&self, path: &'static str, request: Req, time: Option<Duration>) -> Result<Res, Error>
    where
        Req: prost::Message + Send + Sync + 'static,
        Res: prost::Message + Default + Send + Sync + 'static,
    {
        let call = async {
            let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES);
            grpc.ready().await.map_err(|e| Error::Unavailable(source_text(&e)))?;
            let path = http::uri::PathAndQuery::from_static(path);
            let response = grpc.unary(tonic::Request::new(request), path, ProstCodec::default()).await?;
            Ok(response.into_inner())
        };
        match time {
            Some(time) => tokio::time::timeout(time, call).await.unwrap_or(Err(Error::Deadline)),
            None => call.await,
        }
    }
}

fn source_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

macro_rules! calls {
    ($($name:ident($request:ident) -> $response:ident = $path:literal;)*) => {
        impl Cri {
            $(pub async fn $name(&self, request: $request) -> Result<$response, Error> {
                self.call(concat!("/runtime.v1.", $path), request, Some(CALL_TIME)).await
            })*
        }
    };
}

calls! {
    version(VersionRequest) -> VersionResponse = "RuntimeService/Version";
    status(StatusRequest) -> StatusResponse = "RuntimeService/Status";
    update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse = "RuntimeService/UpdateRuntimeConfig";
    run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse = "RuntimeService/RunPodSandbox";
    stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse = "RuntimeService/StopPodSandbox";
    remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse = "RuntimeService/RemovePodSandbox";
    pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse = "RuntimeService/PodSandboxStatus";
    list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse = "RuntimeService/ListPodSandbox";
    create_container(CreateContainerRequest) -> CreateContainerResponse = "RuntimeService/CreateContainer";
    start_container(StartContainerRequest) -> StartContainerResponse = "RuntimeService/StartContainer";
    remove_container(RemoveContainerRequest) -> RemoveContainerResponse = "RuntimeService/RemoveContainer";
    list_containers(ListContainersRequest) -> ListContainersResponse = "RuntimeService/ListContainers";
    container_status(ContainerStatusRequest) -> ContainerStatusResponse = "RuntimeService/ContainerStatus";
    update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse = "RuntimeService/UpdateContainerResources";
    reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse = "RuntimeService/ReopenContainerLog";
    exec(ExecRequest) -> ExecResponse = "RuntimeService/Exec";
    attach(AttachRequest) -> AttachResponse = "RuntimeService/Attach";
    port_forward(PortForwardRequest) -> PortForwardResponse = "RuntimeService/PortForward";
    list_container_stats(ListContainerStatsRequest) -> ListContainerStatsResponse = "RuntimeService/ListContainerStats";
    list_images(ListImagesRequest) -> ListImagesResponse = "ImageService/ListImages";
    image_status(ImageStatusRequest) -> ImageStatusResponse = "ImageService/ImageStatus";
    remove_image(RemoveImageRequest) -> RemoveImageResponse = "ImageService/RemoveImage";
    image_fs_info(ImageFsInfoRequest) -> ImageFsInfoResponse = "ImageService/ImageFsInfo";
}

impl Cri {
    /// A pull takes as long as it takes: the runtime itself ends one that makes no progress.
    pub async fn pull_image(&self, request: PullImageRequest) -> Result<PullImageResponse, Error> {
        self.call("/runtime.v1.ImageService/PullImage", request, None).await
    }

    /// Waits for the grace period given in the request, and then as long as any other call.
    pub async fn stop_container(&self, request: StopContainerRequest) -> Result<StopContainerResponse, Error> {
        let grace = Duration::from_secs(u64::try_from(request.timeout).unwrap_or(0));
        self.call("/runtime.v1.RuntimeService/StopContainer", request, Some(CALL_TIME.saturating_add(grace))).await
    }

    /// Waits for the time given in the request, and then as long as any other call.
    pub async fn exec_sync(&self, request: ExecSyncRequest) -> Result<ExecSyncResponse, Error> {
        let time = match u64::try_from(request.timeout) {
            Ok(0) | Err(_) => None,
            Ok(seconds) => Some(CALL_TIME.saturating_add(Duration::from_secs(seconds))),
        };
        self.call("/runtime.v1.RuntimeService/ExecSync", request, time).await
    }
}
