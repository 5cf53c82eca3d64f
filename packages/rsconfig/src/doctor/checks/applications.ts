// Checks the applications that rsapp runs: that rsapp answers, that each one is well as this node sees it, and that nothing else attaches its
// volumes or starts its service. Pure. Invariant: without a section [application NAME], nothing is found.

import type { ApplicationConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { effectiveVolume } from '@rsio/common/config/effective-volume';
import type { ApplicationView } from '@rsio/api/rsapp/app-methods';
import { appStartCommand } from '@rsio/api/manage/applications';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

export function checkApplications({ file, applications, rootOption }: DoctorFacts): Finding[] {
  const findings = new FindingList('applications');
  const { config } = file;
  if (config === null || config.applications.length === 0) return findings.list;
  const { answer, enabledUnits } = applications;
  if (answer === null)
    findings.error(
      'rsapp',
      'It does not answer: this node takes no application over, and moves none away',
      null,
      'start rsapp, also at each boot',
      [appStartCommand(rootOption)],
    );
  else if (answer.drained)
    findings.warning(
      'rsapp',
      'This node is drained, and takes no application',
      null,
      'end the drain when the node may have applications again',
      [`rsconfig${rootOption} node drain --end`],
    );
  for (const app of config.applications) {
    const before = findings.list.length;
    const where = `${file.path}:${app.line}`;
    judgeConfig(findings, app, config, where, enabledUnits);
    const view = answer?.applications.find(({ name }) => name === app.name);
    if (view !== undefined) judge(findings, view, rootOption);
    else if (answer !== null)
      findings.warning(`application ${app.name}`, 'rsapp does not know it', where, 'let rsapp read the file', [`systemctl reload rsapp`]);
    if (findings.list.length === before && view !== undefined) findings.ok(`application ${app.name}`, said(view));
  }
  return findings.list;
}

function judgeConfig(
  findings: FindingList,
  { name, volumes, service }: ApplicationConfig,
  { namespaces }: RscltConfig,
  where: string,
  enabledUnits: readonly string[],
): void {
  const object = `application ${name}`;
  const attached = volumes.filter((volume) => {
    const [, namespace, label = ''] = /^(?:([^:]+):)?([^@]+)/.exec(volume) ?? [];
    return namespaces.some((one) => (namespace === undefined || one.name === namespace) && effectiveVolume(one, label).attach);
  });
  if (attached.length > 0) {
    const what = `rsiod attaches ${attached.join(' and ')} at each boot, so that the first node that boots runs it, whatever nodes says`;
    findings.warning(object, what, where, `remove ${attached.join(' and ')} from the key attach, because rsapp attaches it`);
  }
  if (service.kind === 'unit' && enabledUnits.includes(service.unit))
    findings.error(
      object,
      `systemd starts ${service.unit} at each boot, also on a node that does not have its volumes`,
      where,
      'disable the unit, because rsapp starts it',
      [`systemctl disable ${service.unit}`],
    );
}

function judge(findings: FindingList, { name, state, why, nodes, next, failed, remains }: ApplicationView, rootOption: string): void {
  const object = `application ${name}`;
  const reason = why === '' ? '' : `: ${why}`;
  if (remains) findings.error(object, `It cannot be removed from this node${reason}`, null, 'end what uses it; rsapp goes on trying');
  else if (state === 'waiting' || state === 'unknown')
    findings.error(
      object,
      state === 'waiting' ? `It is wanted, and does not run${reason}` : `It is not known whether it runs${reason}`,
      null,
      'see the log of rsapp on each of its nodes, and rsconfig doctor for the paths to the servers',
    );
  else if (failed)
    findings.error(object, why, null, 'repair the service, then start it again', [`rsconfig${rootOption} app start ${name}`]);
  else if (state === 'running' && next === null && nodes.length > 1)
    findings.warning(object, 'No other node could take it over now', null, 'see that rsiod and rsapp run on its other nodes');
}

function said({ state, on, next }: ApplicationView): string {
  if (state !== 'running') return `It is ${state}`;
  return `It runs on ${on ?? 'a node'}${next === null ? '' : `, and ${next} is next`}`;
}
