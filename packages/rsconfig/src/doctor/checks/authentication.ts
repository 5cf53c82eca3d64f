// Checks that each path leads to an RSIO server that belongs to the right namespace, has a unique serverid and accepts this node's key, and
// compares the keys of all servers of a namespace, so that a change of the key that is half done is named at each of them. Invariant: if a
// server has identified itself or has refused the namespace, each of its failures is reported once, not once per path.

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
    if (!isProved || first === undefined) continue;
    findings.ok(serverName(first), `Has proved that it knows the key of node ${first.nodename}`);
    changedKey(findings, facts, paths);
  }
  return findings.list;
}

function failed(findings: FindingList, facts: DoctorFacts, path: PathFacts): void {
  const { file, version, rootOption } = facts;
  const { failure, failureCode, server } = path.report ?? {};
  const inNamespace = (key: string): string => locationOf(file, { type: 'namespace', name: path.namespace }, key);
  switch (failureCode) {
    case 'E_AUTH':
      refusedKey(findings, inNamespace('nodekey'), path, facts);
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

function refusedKey(findings: FindingList, where: string, path: PathFacts, facts: DoctorFacts): void {
  const { nodename } = path;
  const others = provedIn(facts, path.namespace);
  if (others.length === 0) {
    findings.error(
      serverName(path),
      `It does not accept node ${nodename} with this key, or does not have the same key itself`,
      where,
      `compare nodename and nodekey with the line of ${nodename} in [clients] of its rssrvcfg, and serverkey where one is set; on the server, kill -HUP $(cat /run/rsio/rssrv/pid) makes rssrv reload it`,
    );
    return;
  }
  const names = listOf([...new Set(others.map(({ report }) => report?.server?.server ?? ''))]);
  const isOld = others.some(({ report }) => report?.server?.keyUsed === 'old');
  const here = `give this client the new key: ${settingKey(path, facts)}`;
  const there = `there, rsadm client rekey ${nodename} --key-file FILE lets it accept this key`;
  const remedy = isOld ? here : `${there}; or, if its key is the new one, ${here}`;
  const what = `It does not accept node ${nodename} with this key, which ${names} accepted`;
  findings.error(serverName(path), what, where, remedy);
}

/** `paths`: the paths to a server that has accepted the key. */
function changedKey(findings: FindingList, facts: DoctorFacts, paths: readonly PathFacts[]): void {
  const path = paths.find(({ report }) => report?.server?.isProved === true);
  if (path === undefined) return;
  const { nodename, namespace } = path;
  const where = locationOf(facts.file, { type: 'namespace', name: namespace }, 'nodekey');
  const used = path.report?.server?.keyUsed ?? null;
  if (used === 'old') {
    const remedy = `when all servers have the new key, ${settingKey(path, facts)}; to keep this one, there, rsadm client rekey ${nodename} --cancel`;
    findings.warning(serverName(path), `It has a new key for node ${nodename}, which this client does not use yet`, where, remedy);
  } else if (used === 'new') {
    const remedy = `there, rsadm client rekey ${nodename} --finish; if that is refused, first rsadm client kick ${nodename}`;
    findings.warning(serverName(path), `It still accepts the old key of node ${nodename}`, null, remedy);
  } else if (provedIn(facts, namespace).some(({ report }) => report?.server?.keyUsed === 'old')) {
    const remedy = `there, rsadm client rekey ${nodename} --key-file FILE`;
    findings.warning(serverName(path), `It does not have the new key of node ${nodename}, which another server has`, null, remedy);
  }
}

function settingKey({ namespace }: PathFacts, { rootOption }: DoctorFacts): string {
  return `rsconfig${rootOption} namespace set ${namespace} --nodekey-file FILE --reload`;
}

function provedIn({ paths }: DoctorFacts, namespace: string): PathFacts[] {
  return paths.filter((path) => path.namespace === namespace && path.report?.server?.isProved === true);
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
