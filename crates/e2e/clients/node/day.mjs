// A day's work with the official JavaScript client, unmodified: argv is a namespace and an image that sleeps.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const [namespace, image] = process.argv.slice(2);
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const definitions = config.makeApiClient(k8s.ApiextensionsV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

/** Resolves with the first event of a watch that `wanted` accepts. */
function seen(path, query, wanted) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`nothing came on ${path}`)), 60_000);
    new k8s.Watch(config).watch(path, query, (type, object) => {
      if (wanted(type, object)) {
        clearTimeout(limit);
        resolve(object);
      }
    }, (error) => error && reject(error)).catch(reject);
  });
}

async function pods() {
  const container = { name: 'main', image, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', "echo awake; trap 'exit 0' TERM; sleep 100000 & wait"] };
  const made = await core.createNamespacedPod({ namespace, body: { metadata: { name: 'day' }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } } });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  const query = { fieldSelector: 'metadata.name=day', resourceVersion: made.metadata.resourceVersion };
  await seen(`/api/v1/namespaces/${namespace}/pods`, query, (_, pod) => pod.status?.phase === 'Running');
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const status = await new Promise((resolve, reject) => {
    const command = ['/bin/sh', '-c', 'read line; echo got $line; echo bad >&2; exit 3'];
    const stdin = new PassThrough();
    new k8s.Exec(config).exec(namespace, 'day', 'main', command, stdout, stderr, stdin, false, resolve).catch(reject);
    stdin.write('hello\n');
  });
  assert.equal(status.status, 'Failure');
  assert.equal(status.details.causes[0].message, '3');
  assert.equal(String(stdout.read()), 'got hello\n');
  assert.equal(String(stderr.read()), 'bad\n');
  assert.equal(await core.readNamespacedPodLog({ name: 'day', namespace }), 'awake\n');
  await core.deleteNamespacedPod({ name: 'day', namespace });
}

async function informs() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const informer = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace, labelSelector: 'day=node' }), 'day=node');
  const heard = { add: [], update: [], delete: [] };
  const bell = new EventTarget();
  for (const verb of Object.keys(heard)) {
    informer.on(verb, (object) => {
      heard[verb].push(object.metadata.name);
      bell.dispatchEvent(new Event(verb));
    });
  }
  const create = (name) => core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { day: 'node' } }, data: { n: '1' } } });
  await create('first');
  await informer.start();
  const hears = async (verb, name, act) => {
    await act();
    while (!heard[verb].includes(name)) await once(bell, verb);
  };
  await hears('add', 'first', () => {});
  await hears('add', 'second', () => create('second'));
  await hears('update', 'second', () => core.patchNamespacedConfigMap({ name: 'second', namespace, body: [{ op: 'replace', path: '/data/n', value: '2' }] }));
  assert.equal(informer.get('second', namespace).data.n, '2');
  await hears('delete', 'first', () => core.deleteNamespacedConfigMap({ name: 'first', namespace }));
  assert.deepEqual(informer.list(namespace).map((o) => o.metadata.name), ['second']);
  await informer.stop();
  const page = await core.listNamespacedConfigMap({ namespace, limit: 1 });
  assert.ok(page.metadata._continue);
  await assert.rejects(core.readNamespacedConfigMap({ name: 'absent', namespace }), (error) => error.code === 404 && /configmaps \\"absent\\" not found/.test(error.body));
}

async function customs() {
  const [group, plural] = ['node.knarr.example', 'samples'];
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } }, status: { type: 'object', properties: { phase: { type: 'string' } } } } } };
  const name = `${plural}.${group}`;
  const body = { metadata: { name }, spec: { group, scope: 'Namespaced', names: { plural, singular: 'sample', kind: 'NodeSample' }, versions: [{ name: 'v1', served: true, storage: true, schema, subresources: { status: {} } }] } };
  await definitions.createCustomResourceDefinition({ body });
  const established = (_, crd) => crd.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
  await seen('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { fieldSelector: `metadata.name=${name}` }, established);
  const sample = { apiVersion: `${group}/v1`, kind: 'NodeSample', metadata: { name: 'one', namespace }, spec: { size: 1 } };
  const version = { group, version: 'v1', namespace, plural };
  await custom.createNamespacedCustomObject({ ...version, body: sample });
  await assert.rejects(custom.createNamespacedCustomObject({ ...version, body: { ...sample, metadata: { name: 'two' }, spec: {} } }), (error) => error.code === 422);
  const applied = await objects.patch({ ...sample, spec: { size: 2 } }, undefined, undefined, 'node-day', true, k8s.PatchStrategy.ServerSideApply);
  assert.equal(applied.spec.size, 2);
  const read = await custom.getNamespacedCustomObject({ ...version, name: 'one' });
  await custom.replaceNamespacedCustomObjectStatus({ ...version, name: 'one', body: { ...read, status: { phase: 'Fine' } } });
  assert.equal((await custom.listNamespacedCustomObject(version)).items[0].status.phase, 'Fine');
  await definitions.deleteCustomResourceDefinition({ name });
}

await pods();
await informs();
await customs();
console.log('node: done');
process.exit(0);
