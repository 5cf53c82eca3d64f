// Reads the sections [application NAME] of rscltcfg. The schema checks single values; this file checks what must fit together: each volume,
// folder and address belongs to one application, and an application has one service.

import { isIPv6 } from 'node:net';
import { quoteText } from '@rsio/base/lib/units';
import type { APPLICATION_SECTION } from '../schema/application-section.ts';
import { APPLICATIONS_MAX } from '../schema/limits.ts';
import type { ApplicationConfig } from '../schema/types.ts';
import { type Findings, Uniques } from './findings.ts';
import type { SectionReader } from './section-reader.ts';

type Reader = SectionReader<(typeof APPLICATION_SECTION)['keys']>;

export function readApplications(readers: readonly Reader[], findings: Findings): readonly ApplicationConfig[] {
  const beyond = readers[APPLICATIONS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} applications: allowed are at most ${APPLICATIONS_MAX}`);
  const uniques = new Uniques(findings);
  return readers.flatMap((reader) => {
    claimAll(reader, uniques);
    return readOne(reader, findings) ?? [];
  });
}

function claimAll(reader: Reader, uniques: Uniques): void {
  const own = 'give each application its own';
  uniques.claim(`name ${reader.name}`, reader.line, `application name ${quoteText(reader.name)}`, own);
  for (const volume of reader.value('volumes') ?? [])
    uniques.claim(`volume ${bareName(volume)}`, reader.lineOf('volumes'), `volume ${volume} of applications`, own);
  for (const { path } of reader.value('mounts') ?? []) uniques.claim(`path ${path}`, reader.lineOf('mounts'), `mount ${path}`, own);
  const address = reader.value('address');
  if (address !== null) uniques.claim(`address ${address.address}`, reader.lineOf('address'), `address ${address.address}`, own);
}

function bareName(volume: string): string {
  return volume.replace(/@0$/, '').replace(/^[^:]+:/, '');
}

function readOne(reader: Reader, findings: Findings): ApplicationConfig | null {
  const [volumes, nodes] = [reader.value('volumes'), reader.value('nodes')];
  const mounts = reader.value('mounts') ?? [];
  const stray = mounts.find(({ volume }) => volume !== null && volumes?.includes(volume) === false);
  if (stray !== undefined)
    findings.problem(reader.lineOf('mounts'), `Mount ${stray.path} is on ${stray.volume ?? ''}, which is not in volumes: add it there`);
  const service = serviceOf(reader, findings);
  const [address, device] = [reader.value('address'), reader.value('address-device')];
  if (device !== null && address === null) findings.problem(reader.lineOf('address-device'), 'address-device without address: add address');
  if (volumes === null || nodes === null || service === null) return null;
  return {
    name: reader.name,
    volumes,
    mounts,
    service,
    ...reader.fields(),
    address:
      address === null ? null : { address: address.address, prefix: address.prefixLength ?? (isIPv6(address.address) ? 128 : 32), device },
    nodes,
    line: reader.line,
  };
}

function serviceOf(reader: Reader, findings: Findings): ApplicationConfig['service'] | null {
  const [unit, start, stop] = [reader.value('service'), reader.value('start'), reader.value('stop')];
  const isUnit = reader.isSet('service');
  if (isUnit === reader.isSet('start')) {
    const keys = !isUnit ? 'neither service nor start: add one of them' : 'both service and start: remove one of them';
    findings.problem(reader.line, `Application ${quoteText(reader.name)} has ${keys}`);
    return null;
  }
  if (unit !== null && stop !== null) findings.problem(reader.lineOf('stop'), 'stop with service: systemd stops the unit, so remove stop');
  if (unit !== null) return { kind: 'unit', unit };
  return start === null ? null : { kind: 'programs', start, stop };
}
