// Lines of iproute2 with -o: of `ip monitor address link`, and of `ip address` and `ip link`, which look the same. Pure.
// What is not understood is passed over: other kinds of lines, and fields that newer versions add.
//
//   4: eth0    inet 192.168.10.1/24 brd 192.168.10.255 scope global eth0\ ...
//   Deleted 4: eth0    inet 192.168.10.1/24 scope global eth0\ ...
//   3: eth1@eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 ... state DOWN ...\    link/ether ...

export type IpFact =
  | { readonly kind: 'link'; readonly device: string; readonly hasCarrier: boolean }
  | { readonly kind: 'address'; readonly device: string; readonly address: string; readonly isThere: boolean };

const LINE = /^(?:\[[A-Z]+\])?(Deleted )?\d+: ([^\s:@]+)(?:@[^\s:]+)?(:?)\s+(.*)$/;
const FLAGS = /^<([A-Z0-9_,-]*)>/;
const ADDRESS = /^inet6? ([0-9a-fA-F.:]+)/;

/** What a line says, or null: nothing that matters here. */
export function readIpLine(line: string): IpFact | null {
  const [, deleted, device, colon, rest] = LINE.exec(line) ?? [];
  if (device === undefined || rest === undefined) return null;
  const isThere = deleted === undefined;
  if (colon === '') {
    const address = ADDRESS.exec(rest)?.[1];
    return address === undefined ? null : { kind: 'address', device, address, isThere };
  }
  const flags = FLAGS.exec(rest)?.[1]?.split(',');
  if (flags === undefined) return null;
  return { kind: 'link', device, hasCarrier: isThere && flags.includes('LOWER_UP') && !flags.includes('NO-CARRIER') };
}
