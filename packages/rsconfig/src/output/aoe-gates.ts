// Prints the gates for hosts of AoE: a row of `gate list`, and the lines of `gate show`. Pure. Invariant: a volume that hosts can write to
// is shown as unsafe in both.

import { alignColumns, toText } from '@rsio/common/cli/table';
import type { AoeGateView } from '@rsio/api/rsiod/methods';
import { printSize } from '@rsio/base/lib/units';

/** Columns: name, protocol, place, hosts, volumes. */
export function aoeRow({ name, interface: place, shelf, writes, trouble, hosts, volumes }: AoeGateView): string[] {
  const notes = [...(trouble === null ? [] : ['not answering']), ...(writes === 'unsafe' ? ['unsafe writes'] : [])];
  const shown = `shelf ${shelf} at ${place}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
  return [name, 'aoe', shown, String(hosts.length), String(volumes.length)];
}

export function aoeText(view: AoeGateView): string {
  const { shelf, mac, dataBytes, trouble, writes, hosts, volumes } = view;
  const rows = volumes.map(({ slot, label, sizeBytes, readonly }) => [
    `e${shelf}.${slot}`,
    label,
    printSize(sizeBytes),
    readonly ? 'read-only' : 'UNSAFE WRITES',
  ]);
  const lines = [
    'Protocol    ATA over Ethernet',
    `Interface   ${view.interface}${mac === null ? '' : `, ${mac}, up to ${dataBytes ?? 0} bytes of data in a frame`}`,
    `Shelf       ${shelf}`,
    ...(trouble === null ? [] : [`Trouble     ${trouble}`]),
    `Writes      ${writes === 'off' ? 'refused' : 'unsafe: a frame that the network delays can revert an acknowledged block'}`,
    ...(hosts.length === 0 ? ['Hosts       none in the last minute'] : hosts.map((host) => `Host        ${host}`)),
    ...(rows.length === 0 ? ['Volumes     none is attached'] : ['', ...alignColumns(['ADDRESS', 'VOLUME', '>SIZE', 'ACCESS'], rows)]),
    ...volumes.flatMap(({ slot, config, masks, reserved }) => [
      ...(config === '' ? [] : [`e${shelf}.${slot} has the config string ${JSON.stringify(config)}`]),
      ...(masks.length === 0 ? [] : [`e${shelf}.${slot} answers only ${masks.join(', ')}, because a host has set this`]),
      ...(reserved.length === 0 ? [] : [`e${shelf}.${slot} is reserved for ${reserved.join(', ')}`]),
    ]),
  ];
  return toText(lines);
}
