// What the kernel of a guest with NVMe/TCP paths may log when its paths are lost and come back, or change their states.
// Invariant: each other line is a finding.

import type { SmallMachine } from '../small/small-machine.ts';

const EXPECTED = [
  /: (?:new|Removing) ctrl: NQN /,
  /: (?:creating|mapped) 4/,
  /: (?:starting error recovery|Reconnecting in 1 seconds|(?:Failed reconnect|Successfully reconnected) )/,
  /: (?:failed to connect (?:socket|queue)|queue \d: timeout|long keepalive RTT|failed nvme_keep_alive_end_io|failed to send request -(?:32|104)$)/,
  // A socket that both ends have closed at the same time.
  /: queue \d socket state 11$/,
  // A scan or the set-up of a path was interrupted, or a slow guest has not connected within the keep-alive time. The guest tries all of
  // these again.
  /: Failed to configure AEN \(cfg 900\)$/,
  // Any step of the set-up says so if it is interrupted (-4), or if its command was on a lost path: 880 (0x370), or was given up by the host
  // itself: 881 (0x371).
  /^nvme nvme\d+: .*\b(?:failed|Failed|error|Could not)\b.*(?:[ (=]-4|0xfffffffc|0x37[01]|\b88[01])\b/,
  /: unable to set any I\/O queues$/,
  /: Connect Invalid Data Parameter, starting byte offset: 0$/,
  /: no usable path - requeuing I\/O$|^nvme_ns_head_submit_bio: \d+ callbacks suppressed$/,
  /: rescanning namespaces|: detected capacity change from 32768 to 49152$/,
  // Lines about the network card, and about an emulated machine that runs on a busy machine.
  /^IPv6: ADDRCONF|^hrtimer: interrupt took|^clocksource: |^perf: interrupt took/,
  /^nvme_fabrics: ctrl_loss_tmo < 0 will reconnect forever$/,
];

/** Returns the lines of the kernel's log whose cause is neither a lost path nor a changed state of a path. */
export async function unexpectedLines(machine: SmallMachine): Promise<string[]> {
  const lines = (await machine.run('dmesg')).split('\n').map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
  return lines.filter((line) => !EXPECTED.some((one) => one.test(line)));
}
