// Tests how the mounts of a machine are read: fields with blanks, binds of files, and options. The other parts of host.ts need devices and
// root, and test/integration/csi-node.test.ts uses them.

import { expect, test } from 'vitest';
import { parseMounts } from './host.ts';

const TEXT = `22 1 0:21 / /proc rw,nosuid shared:13 - proc proc rw
40 22 7:3 / /var/lib/kubelet/staging rw,noatime shared:20 - xfs /dev/loop3 rw,attr2
41 22 7:3 / /var/lib/kubelet/pods/my\\040pod/mount ro,noatime shared:21 master:2 - xfs /dev/loop3 rw,attr2
42 22 0:5 /loop4 /var/lib/kubelet/block rw - devtmpfs udev rw
a line that cannot be read
`;

test('mounts are read with their device, root and options', () => {
  expect(parseMounts(TEXT)).toEqual([
    { device: '0:21', root: '/', mountPoint: '/proc', type: 'proc', isReadonly: false, options: ['rw'] },
    { device: '7:3', root: '/', mountPoint: '/var/lib/kubelet/staging', type: 'xfs', isReadonly: false, options: ['rw', 'attr2'] },
    { device: '7:3', root: '/', mountPoint: '/var/lib/kubelet/pods/my pod/mount', type: 'xfs', isReadonly: true, options: ['rw', 'attr2'] },
    { device: '0:5', root: '/loop4', mountPoint: '/var/lib/kubelet/block', type: 'devtmpfs', isReadonly: false, options: ['rw'] },
  ]);
});
