// Checks what every machine with RSIO needs: space for state and logs, and a valid certificate of rsweb. gatherUpkeep collects the facts,
// and upkeepFaults, which is pure, judges them. Invariants: no function here throws, and unknown facts are omitted. Each fault has a
// remedy.

import { X509Certificate } from 'node:crypto';
import { readFileSync, statfsSync, statSync } from 'node:fs';
import { parseIni } from '@rsio/common/config/reader/ini-document';
import { errnoName } from '@rsio/base/lib/errors';
import { plural, shownSize } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';

const MIB = 1_048_576;
const DAY_MS = 86_400_000;
const DISK_NEEDS_BYTES = 64 * MIB;
const DISK_WANTS_BYTES = 1_024 * MIB;
const DISK_WANTS_SHARE = 0.05;
const CERTIFICATE_DAYS = 30;
const OTHERS = 0o007;

export interface Upkeep {
  readonly disks: readonly { readonly path: string; readonly freeBytes: number; readonly totalBytes: number }[];
  /** Certificate of rsweb; null if rsweb has no certificate. */
  readonly certificate: CertificateFacts | null;
}

interface CertificateFacts {
  readonly file: string;
  /** End of the certificate's validity; null if the file could not be read as a certificate, for the reason `trouble`. */
  readonly validToMs: number | null;
  readonly trouble: string | null;
  readonly keyFile: string | null;
  /** Permission bits of the key; null if unknown. */
  readonly keyMode: number | null;
}

interface UpkeepFault {
  readonly isError: boolean;
  readonly object: string;
  readonly what: string;
  readonly where: string;
  readonly remedy: string;
  readonly commands: readonly string[];
}

/** Collects the facts about this machine. `root`: the root directory; '' for the real root. */
export function gatherUpkeep(root: string): Upkeep {
  return { disks: disksOf([`${root}/var/lib/rsio`, `${root}/var/log/rsio`]), certificate: certificateOf(`${root}/etc/rswebcfg`) };
}

export function upkeepFaults({ disks, certificate }: Upkeep, nowMs: number): UpkeepFault[] {
  return [...disks.flatMap(diskFaults), ...(certificate === null ? [] : certificateFaults(certificate, nowMs))];
}

/** Returns one entry for each file system. */
function disksOf(paths: readonly string[]): Upkeep['disks'] {
  const seen = new Set<number>();
  return paths.flatMap((path) => {
    try {
      const { dev } = statSync(path);
      if (seen.has(dev)) return [];
      seen.add(dev);
      const { bavail, blocks, bsize } = statfsSync(path);
      return [{ path, freeBytes: bavail * bsize, totalBytes: blocks * bsize }];
    } catch {
      return [];
    }
  });
}

function diskFaults({ path, freeBytes, totalBytes }: Upkeep['disks'][number]): UpkeepFault[] {
  if (freeBytes >= DISK_NEEDS_BYTES && (freeBytes >= DISK_WANTS_BYTES || freeBytes >= DISK_WANTS_SHARE * totalBytes)) return [];
  const what = `Its file system has ${shownSize(freeBytes)} of ${shownSize(totalBytes)} free`;
  const remedy = 'make room or enlarge it: without space, RSIO can neither save its state nor log';
  return [{ isError: freeBytes < DISK_NEEDS_BYTES, object: path, what, where: path, remedy, commands: [`du -xsh ${path}/*`] }];
}

function certificateOf(file: string): CertificateFacts | null {
  const web = webSectionOf(file);
  const valueOf = (key: string): string | null => web?.contents.findLast((line) => line.key === key)?.value ?? null;
  const [certificate, keyFile] = [valueOf('certificate'), valueOf('key')];
  if (certificate === null) return null;
  const facts = { file: certificate, keyFile, keyMode: keyFile === null ? null : modeOf(keyFile) };
  try {
    return { ...facts, validToMs: Date.parse(new X509Certificate(readFileSync(certificate)).validTo), trouble: null };
  } catch (error) {
    return { ...facts, validToMs: null, trouble: errnoName(error) ?? 'it is no certificate' };
  }
}

function webSectionOf(file: string): ReturnType<typeof parseIni>['sections'][number] | undefined {
  try {
    return parseIni(readFileSync(file, 'utf8')).sections.find(({ type }) => type === 'web');
  } catch {
    return undefined;
  }
}

function modeOf(file: string): number | null {
  try {
    return statSync(file).mode & 0o777;
  } catch {
    return null;
  }
}

function certificateFaults({ file, validToMs, trouble, keyFile, keyMode }: CertificateFacts, nowMs: number): UpkeepFault[] {
  const object = 'certificate of rsweb';
  const faults: UpkeepFault[] = [];
  const fault = (isError: boolean, what: string, where: string, remedy: string, commands: readonly string[] = []): void =>
    void faults.push({ isError, object, what, where, remedy, commands });
  const renew = 'put a new certificate and its key in their places, and restart rsweb';
  // EACCES is not a fault, because this command may have fewer rights than rsweb.
  if (trouble !== null && trouble !== 'EACCES') fault(true, `It cannot be read (${trouble})`, file, 'correct certificate in rswebcfg');
  if (validToMs !== null && validToMs <= nowMs) fault(true, `It has expired: ${formatTime(validToMs)}`, file, renew);
  else if (validToMs !== null && validToMs - nowMs < CERTIFICATE_DAYS * DAY_MS)
    fault(false, `It expires in ${plural(Math.floor((validToMs - nowMs) / DAY_MS), 'day')}: ${formatTime(validToMs)}`, file, renew);
  if (keyFile !== null && keyMode !== null && (keyMode & OTHERS) !== 0)
    fault(true, `All users can use its key (mode ${keyMode.toString(8)})`, keyFile, 'restrict it, and think about a new key', [
      `chmod o= ${keyFile}`,
    ]);
  return faults;
}
