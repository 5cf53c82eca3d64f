// The operational parameters of a session: what an initiator offers, and what this target answers. Pure. Source: RFC 7143, chapter 13.
// Invariant: each value in force is within the bounds of limits.ts, whatever the initiator offers; a key that is not offered has its default.

import { GATE_BURST_BYTES, GATE_FIRST_BURST_BYTES, GATE_SEGMENT_BYTES } from '../../limits.ts';
import { parseNumber } from '../wire/text.ts';

/** The values in force. */
export interface SessionParameters {
  hasHeaderDigest: boolean;
  hasDataDigest: boolean;
  /** Most data of one PDU to the initiator. */
  segmentBytes: number;
  burstBytes: number;
  firstBurstBytes: number;
  /** True if the initiator sends data outside of its command only after the target has asked for it. */
  waitsForR2t: boolean;
  hasImmediateData: boolean;
}

/** The values of an initiator that negotiates nothing. */
export function defaultParameters(): SessionParameters {
  return {
    hasHeaderDigest: false,
    hasDataDigest: false,
    segmentBytes: 8_192,
    burstBytes: 262_144,
    firstBurstBytes: 65_536,
    waitsForR2t: true,
    hasImmediateData: true,
  };
}

export type KeyValues = (readonly [string, string])[];

const SEGMENT_MIN_BYTES = 512;
const BYTES_MAX = 2 ** 24 - 1;
/** Keys that are only declarations, or that the login itself uses. */
const NO_ANSWER: ReadonlySet<string> = new Set(['InitiatorName', 'InitiatorAlias', 'SessionType', 'TargetName', 'AuthMethod']);
const IRRELEVANT: ReadonlySet<string> = new Set(['IFMarkInt', 'OFMarkInt']);

/** Applies one key to `parameters`. Returns the value of the answer; null if the key has none; undefined if the value is invalid. */
type Rule = (value: string, parameters: SessionParameters) => string | null | undefined;

function smallest(min: number, max: number, own: number, set?: (parameters: SessionParameters, value: number) => void): Rule {
  return (value, parameters) => {
    const offered = parseNumber(value, min, max);
    if (offered === null) return undefined;
    const result = Math.min(offered, own);
    set?.(parameters, result);
    return String(result);
  };
}

/** `yes` returns the result for an initiator that says Yes (true) or No (false). */
function decided(yes: (offered: boolean) => boolean, set?: (parameters: SessionParameters, value: boolean) => void): Rule {
  return (value, parameters) => {
    if (value !== 'Yes' && value !== 'No') return undefined;
    const result = yes(value === 'Yes');
    set?.(parameters, result);
    return result ? 'Yes' : 'No';
  };
}

const AS_OFFERED = (offered: boolean): boolean => offered;

function digest(set: (parameters: SessionParameters, isUsed: boolean) => void): Rule {
  return (value, parameters) => {
    const chosen = value.split(',').find((one) => one === 'None' || one === 'CRC32C');
    if (chosen === undefined) return undefined;
    set(parameters, chosen === 'CRC32C');
    return chosen;
  };
}

const RULES: Readonly<Record<string, Rule>> = {
  HeaderDigest: digest((parameters, isUsed) => (parameters.hasHeaderDigest = isUsed)),
  DataDigest: digest((parameters, isUsed) => (parameters.hasDataDigest = isUsed)),
  MaxRecvDataSegmentLength: (value, parameters) => {
    const offered = parseNumber(value, SEGMENT_MIN_BYTES, BYTES_MAX);
    if (offered === null) return undefined;
    parameters.segmentBytes = Math.min(offered, GATE_SEGMENT_BYTES);
    return null;
  },
  MaxBurstLength: smallest(SEGMENT_MIN_BYTES, BYTES_MAX, GATE_BURST_BYTES, (parameters, value) => (parameters.burstBytes = value)),
  FirstBurstLength: smallest(SEGMENT_MIN_BYTES, BYTES_MAX, GATE_FIRST_BURST_BYTES, (parameters, value) => {
    parameters.firstBurstBytes = value;
  }),
  InitialR2T: decided(AS_OFFERED, (parameters, value) => (parameters.waitsForR2t = value)),
  ImmediateData: decided(AS_OFFERED, (parameters, value) => (parameters.hasImmediateData = value)),
  MaxConnections: smallest(1, 65_535, 1),
  MaxOutstandingR2T: smallest(1, 65_535, 1),
  DataPDUInOrder: decided(() => true),
  DataSequenceInOrder: decided(() => true),
  ErrorRecoveryLevel: smallest(0, 2, 0),
  DefaultTime2Wait: smallest(0, 3_600, 3_600),
  // Nothing of a session outlives its connection.
  DefaultTime2Retain: smallest(0, 3_600, 0),
  IFMarker: decided(() => false),
  OFMarker: decided(() => false),
  iSCSIProtocolLevel: smallest(0, 31, 1),
  TaskReporting: (value) => (value.split(',').includes('RFC3720') ? 'RFC3720' : 'Reject'),
};

/**
 * Applies the keys of one request. Returns the answers, or a sentence if the login cannot go on. Keys that this target does not know are
 * answered with NotUnderstood.
 */
export function negotiate(keys: ReadonlyMap<string, string>, parameters: SessionParameters): KeyValues | string {
  const answers: KeyValues = [];
  for (const [key, value] of keys) {
    if (NO_ANSWER.has(key)) continue;
    const rule = Object.hasOwn(RULES, key) ? RULES[key] : undefined;
    if (rule === undefined) {
      answers.push([key, IRRELEVANT.has(key) ? 'Irrelevant' : 'NotUnderstood']);
      continue;
    }
    const answer = rule(value, parameters);
    if (answer === undefined) return `it has offered the invalid value ${printable(value)} of ${key}`;
    if (answer !== null) answers.push([key, answer]);
  }
  parameters.firstBurstBytes = Math.min(parameters.firstBurstBytes, parameters.burstBytes);
  return answers;
}

function printable(value: string): string {
  return value.slice(0, 40).replaceAll(/[^\x21-\x7e]/g, '?');
}
