// Help texts (F1) of the appliance's part. The help on fields comes from the forms. Invariant: terminal-input.ts recognizes every key that
// these texts mention.

export const APPLIANCE_HELP = `crsio administers the appliance: its network, time, password, disks and system. Volumes and clients are in the server's part: Esc, then Server.

From top to bottom: Network, Time, Server, Disks. Then add clients and volumes in the server's part.

Enter   opens, chooses, moves to the next field
Esc     goes back
F1      shows help on the screen or the field
F3      applies a form
F4      lists the values of a field
F10     leaves
If the terminal intercepts function keys, press Esc and a digit; Esc 0 is F10.`;

export const DISKS_HELP = `A pool is an array (RAID) of whole disks with the file system XFS, on which rssrv has a pool.

raid1: copies on all disks. raid5: one disk may fail. raid6: two may fail. raid10: copies, striped.

To replace a disk, open its array. A disk that still works stays in the array until its content is on the new disk. A disk that is in use is refused. Any other disk is overwritten only if you type its name, because a disk on which nothing is recognised may have data.`;

export const SYSTEM_HELP = `The appliance has two slots. An upgrade is written to the slot that is not running, and boots once on trial. If it does not come up, the boot after that takes the earlier slot. "Go back" tries the other slot in the same way.

Files come from a removable disk with a file system, such as a USB stick. A saved configuration has keys: keep it secret.`;
