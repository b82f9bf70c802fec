//! stub
use crate::{cluster::*, config::KubectlSettings, domain::*, manifest::Manifest, ssh::SshClient};
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::time::Duration;
pub struct Kubectl;
impl Kubectl {
    pub fn new(_: SshClient, _: KubectlSettings) -> Self {
        Self
    }
    pub fn describe_observe(&self, _: &Namespace) -> String {
        todo!()
    }
    pub fn describe_apply(&self) -> String {
        todo!()
    }
    pub fn describe_address(&self, _: &Namespace) -> String {
        todo!()
    }
    pub fn describe_watch(&self, _: &Namespace, _: &OwnerLabels, _: Duration) -> String {
        todo!()
    }
    pub fn describe_exec(&self, _: &Namespace, _: &PodRef, _: &ExecCommand) -> String {
        todo!()
    }
    pub fn describe_delete(&self, _: &Namespace, _: &OwnerLabels, _: Duration) -> Vec<String> {
        todo!()
    }
}
#[async_trait]
impl Cluster for Kubectl {
    async fn observe(&self, _: &Namespace) -> Result<Observed, ClusterError> {
        todo!()
    }
    async fn apply(&self, _: &[Manifest], _: bool) -> Result<Vec<Applied>, ClusterError> {
        todo!()
    }
    async fn watch(
        &self,
        _: &Namespace,
        _: &OwnerLabels,
        _: Duration,
    ) -> Result<BoxStream<'static, Result<Change, ClusterError>>, ClusterError> {
        todo!()
    }
    async fn address(&self, _: &Namespace, _: Option<&str>) -> Result<Address, ClusterError> {
        todo!()
    }
    async fn delete_service(&self, _: &Namespace, _: &OwnerLabels) -> Result<(), ClusterError> {
        todo!()
    }
    async fn exec(
        &self,
        _: &Namespace,
        _: &PodRef,
        _: ExecRequest,
    ) -> Result<ExecOutput, ExecError> {
        todo!()
    }
    async fn find_namespace(&self, _: &Namespace) -> Result<Option<NamespaceFacts>, ClusterError> {
        todo!()
    }
    async fn delete_namespace(
        &self,
        _: &Namespace,
        _: &OwnerLabels,
        _: Duration,
    ) -> Result<bool, ClusterError> {
        todo!()
    }
    async fn wait_until_gone(&self, _: &Namespace, _: Duration) -> Result<(), ClusterError> {
        todo!()
    }
    async fn logs(
        &self,
        _: &Namespace,
        _: &LogRequest,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, ClusterError>>, ClusterError> {
        todo!()
    }
    async fn warnings(&self, _: &Namespace) -> Result<Vec<String>, ClusterError> {
        todo!()
    }
}
