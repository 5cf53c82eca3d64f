// Checks that each path leads to an RSIO server that belongs to the right namespace, has a unique serverid and accepts this node's key.
// Invariant: if a server has identified itself or has refused the namespace, each of its failures is reported once, not once per path.

import type { DoctorFacts, PathFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { listOf, pathName, locationOf, serverName, splitSentence, tlsLocation } from '../gather/naming.ts';

export function checkProof(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('proof');
  const reported = new Set<string>();
  for (const path of facts.paths) {
    const { report } = path;
    if (report === null || report.failureCode === null || report.connectMs === null) continue;
    // A server that refuses the namespace or plain connections has not identified itself, so its instance is unknown. The message of the
    // refusal replaces the instance, so that the failure is reported only once.
    const isNamed = report.failureCode === 'E_NAMESPACE' || report.failureCode === 'E_TLS';
    const who = report.server?.instance ?? (isNamed ? report.failure : pathName(path));
    const key = `${path.namespace} ${who} ${report.failureCode}`;
    if (!reported.has(key)) failed(findings, facts, path);
    reported.add(key);
  }
  claimedTwice(findings, facts);
  for (const [instance, paths] of byInstance(facts)) {
    const [first] = paths;
    const isProved = paths.some(({ report }) => report?.server?.instance === instance && report.server.isProved);
    if (isProved && first !== undefined) findings.ok(serverName(first), `Has proved that it knows the key of node ${first.nodename}`);
  }
  return findings.list;
}

function failed(findings: FindingList, { file, version, rootOption }: DoctorFacts, path: PathFacts): void {
  const { failure, failureCode, server } = path.report ?? {};
  const inNamespace = (key: string): string => locationOf(file, { type: 'namespace', name: path.namespace }, key);
  switch (failureCode) {
    case 'E_AUTH':
      findings.error(
        serverName(path),
        `It does not accept node ${path.nodename} with this key, or does not have the same key itself`,
        inNamespace('nodekey'),
        `compare nodename and nodekey with the line of ${path.nodename} in [clients] of its rssrvcfg, and serverkey where one is set; on the server, kill -HUP $(cat /run/rsio/rssrv/pid) makes rssrv reload it`,
      );
      return;
    case 'E_NAMESPACE': {
      const { what } = splitSentence(failure ?? '', '');
      const remedy = 'correct namespaceid, or the address of the server';
      findings.error(server === null ? pathName(path) : serverName(path), what, inNamespace('namespaceid'), remedy);
      return;
    }
    case 'E_TLS': {
      const { what } = splitSentence(failure ?? '', '');
      const tls = file.config?.namespaces.find(({ name }) => name === path.namespace)?.tls ?? false;
      const allow = 'set tls = allow in section [namespace] of its rssrvcfg (there: rsadm namespace set tls=allow)';
      const remedy = tls
        ? `${allow}, or tls = off in section [namespace ${path.namespace}] here`
        : `set tls = on in section [namespace ${path.namespace}] here, or ${allow}`;
      const commands = tls ? [] : [`rsconfig${rootOption} namespace set ${path.namespace} tls=on --reload`];
      findings.error(server === null ? pathName(path) : serverName(path), what, tlsLocation(file, path.namespace).place, remedy, commands);
      return;
    }
    case 'E_VERSION': {
      const { what } = splitSentence(failure ?? '', '');
      findings.error(serverName(path), what, `rsconfig ${version}`, 'update the older of the two');
      return;
    }
    case 'E_LIMIT': {
      const { what } = splitSentence(failure ?? '', '');
      findings.error(serverName(path), what, null, 'wait a minute; if wrong keys were tried from here, correct them first');
      return;
    }
    case 'E_TIMEOUT':
    case 'E_PROTOCOL':
    case 'E_RESET':
      // If the server has identified itself, the message of the failure is more precise than the following text.
      if (server !== null) break;
      findings.error(
        pathName(path),
        `Something accepts the connection, but does not answer like an RSIO server (${failure})`,
        locationOf(file, { type: 'server', name: path.section, namespace: path.namespace }, 'address'),
        `check the address and port ${path.port}; if it is rssrv, see rsslogcat on the server`,
      );
      return;
    default:
  }
  const { what, remedy } = splitSentence(failure ?? 'It failed', 'see rsslogcat on the server');
  findings.error(pathName(path), what, null, remedy);
}

function claimedTwice(findings: FindingList, facts: DoctorFacts): void {
  const claims = new Map<string, { readonly path: PathFacts; readonly serverid: number; readonly instances: Set<string> }>();
  for (const path of facts.paths) {
    const server = path.report?.server ?? null;
    if (server === null) continue;
    const key = `${path.namespace} ${server.serverid}`;
    const claim = claims.get(key) ?? { path, serverid: server.serverid, instances: new Set() };
    claim.instances.add(server.instance);
    claims.set(key, claim);
  }
  for (const { path, serverid, instances } of claims.values()) {
    if (instances.size < 2) continue;
    const owners = facts.paths.filter(({ report, namespace }) => report?.server?.serverid === serverid && namespace === path.namespace);
    const names = listOf([...new Set(owners.map(({ report, address }) => `${report?.server?.server} at ${address}`))]);
    const what = `${instances.size} servers of namespace ${path.namespace} claim it: ${names}`;
    findings.error(`serverid ${serverid}`, what, null, 'give each its own serverid in its rssrvcfg, and restart the one that was changed');
  }
}

function byInstance({ paths }: DoctorFacts): Map<string, PathFacts[]> {
  const found = new Map<string, PathFacts[]>();
  for (const path of paths) {
    const instance = path.report?.server?.instance;
    if (instance !== undefined) found.set(instance, [...(found.get(instance) ?? []), path]);
  }
  return found;
}
