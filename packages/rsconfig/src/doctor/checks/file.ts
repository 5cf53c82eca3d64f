// Checks the configuration file. The file must exist, be readable and have no faults, and other users must not be able to read or change
// it. Other checks examine whether the content of the file fits this machine.

import { plural } from '@rsio/base/lib/units';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { splitSentence } from '../gather/naming.ts';

const WORLD_READABLE = 0o004;
const GROUP_READABLE = 0o040;
const OTHERS_WRITABLE = 0o022;
const SEE_MANUAL = 'correct the line, see rscltcfg(5)';

export function checkFile({ file }: DoctorFacts): Finding[] {
  const findings = new FindingList('file');
  const at = (line: number): string => (line === 0 ? file.path : `${file.path}:${line}`);
  if (file.trouble !== null) {
    const { what, remedy } = splitSentence(file.trouble.message, 'check the file');
    findings.error('configuration file', what, file.path, remedy);
  }
  for (const { line, message } of file.problems) {
    const { what, remedy } = splitSentence(message, SEE_MANUAL);
    findings.error('configuration file', what, at(line), remedy);
  }
  for (const { line, message } of file.warnings) {
    const { what, remedy } = splitSentence(message, SEE_MANUAL);
    findings.warning('configuration file', what, at(line), remedy);
  }
  if (file.config !== null) {
    const { interfaces, namespaces } = file.config;
    const servers = namespaces.reduce((sum, namespace) => sum + namespace.servers.length, 0);
    const counts = [plural(interfaces.length, 'interface'), plural(namespaces.length, 'namespace'), plural(servers, 'server interface')];
    findings.ok(file.path, `No errors: ${counts.join(', ')}`);
  }
  return findings.list;
}

/** Checks the permissions of the file, which contains keys. */
export function checkRights({ file }: DoctorFacts): Finding[] {
  const findings = new FindingList('rights');
  if (file.mode === null || (file.trouble !== null && file.trouble.code !== 'E_RIGHTS')) return [];
  const mode = (file.mode & 0o777).toString(8).padStart(4, '0');
  const remedy = [`chmod 600 ${file.path}`];
  if ((file.mode & WORLD_READABLE) !== 0) {
    findings.warning(
      'configuration file',
      `Every user can read the keys in it (mode ${mode})`,
      file.path,
      'make it readable only by its owner',
      remedy,
    );
  }
  if ((file.mode & OTHERS_WRITABLE) !== 0) {
    findings.error(
      'configuration file',
      `Users other than its owner can change it (mode ${mode})`,
      file.path,
      'make it writable only by its owner',
      remedy,
    );
  }
  const readers = (file.mode & GROUP_READABLE) === 0 ? 'its owner' : 'its owner and group';
  if (findings.list.length === 0) findings.ok(file.path, `Only ${readers} can read the keys in it (mode ${mode})`);
  return findings.list;
}
