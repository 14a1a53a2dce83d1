//! Reads the caches for one cron job and wires cron jobs and jobs to its queue.

use client::{Controller, Error, Index, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use tokio::task::JoinSet;

use super::plan::{Observed, plan};
use crate::caches::Caches;

struct Crons {
    crons: Informer<CronJob>,
    jobs_by_owner: Index<Job>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let crons = caches.informers.get::<CronJob>();
    let jobs = caches.informers.get::<Job>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_cron = queue.clone();
    crons.on_change(move |change| on_cron.add(ObjectKey::of(&**change.object())));
    let on_job = queue.clone();
    jobs.on_change(move |change| {
        let job = change.object();
        if let Some(owner) = controller_owner(&**job).filter(|o| o.kind == "CronJob") {
            on_job.add(ObjectKey::new(job.metadata.namespace.clone().unwrap_or_default(), owner.name.clone()));
        }
    });
    let jobs_by_owner = jobs.index(|job: &Job| controller_owner(job).map(|o| o.uid.clone()).into_iter().collect());
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("cronjob-controller");
    tasks.spawn(run_controller(Crons { crons, jobs_by_owner }, queue, shell, 2));
}

impl Controller for Crons {
    const NAME: &'static str = "cronjob";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(cron) = self.crons.get_key(key) else { return Ok(None) };
        let jobs = self.jobs_by_owner.get(cron.metadata.uid.as_deref().unwrap_or_default());
        Ok(Some(Observed { cron, jobs }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}
