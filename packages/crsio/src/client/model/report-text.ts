// Formats the measurements of a pair of interfaces as text, for the search screen and for the path test. Values that were not measured are
// omitted.

import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { ProbeView } from '@rsio/api/rsiod/methods';

const BYTES_PER_MB = 1e6;

/** Returns a line such as `from if0: round trip 0.21 ms, in 912 MB/s`. If the pair cannot be used, the line gives the reason instead. */
export function reportSentence(report: ProbeReport): string {
  const from = `from ${report.candidate.local.name}`;
  if (report.failure !== null) return `${from}: ${report.failure}`;
  return `${from}: ${facts(report).join(', ')}`;
}

/** Formats rsiod's measurements of one path as lines of text. */
export function probeSentences(view: ProbeView): string[] {
  const ends = `${view.interface} ${view.localAddress} -> ${view.address}/${view.port}`;
  if (view.error !== null) return [ends, `    ${view.error.message} [${view.error.code}]`];
  const measured = facts({
    roundTripMs: view.roundTripMs,
    readBytesPerSecond: view.receiveBytesPerSecond,
    writeBytesPerSecond: view.sendBytesPerSecond,
    mtuBytes: view.mtuBytes,
    leavesBy: view.leavesBy,
  });
  return [ends, `    ${measured.join(', ')}`, ...view.remarks.map((remark) => `    ${remark}`)];
}

type Facts = Pick<ProbeReport, 'roundTripMs' | 'readBytesPerSecond' | 'writeBytesPerSecond' | 'mtuBytes' | 'leavesBy'>;

function facts({ roundTripMs, readBytesPerSecond, writeBytesPerSecond, mtuBytes, leavesBy }: Facts): string[] {
  const all = [
    roundTripMs === null ? null : `round trip ${roundTripMs.toFixed(2)} ms`,
    readBytesPerSecond === null ? null : `in ${Math.round(readBytesPerSecond / BYTES_PER_MB)} MB/s`,
    writeBytesPerSecond === null ? null : `out ${Math.round(writeBytesPerSecond / BYTES_PER_MB)} MB/s`,
    mtuBytes === null ? null : `MTU ${mtuBytes}`,
    leavesBy === null ? null : `leaves by ${leavesBy}`,
  ].filter((fact) => fact !== null);
  return all.length === 0 ? ['answers'] : all;
}
