// Help texts (F1) of the server's part. The help on fields comes from the forms. Invariant: terminal-input.ts recognizes every key that
// these texts mention.

export const SERVER_HELP = `crsio administers rssrv on this machine. Every change is in force at once, as with rsadm.

To hand out a volume: choose Create volume, enter name and size, choose the clients with F4, and press F3.

Up, Down, Tab  move to another line or field
Enter          opens, chooses, moves to the next field
Esc            goes back
F1             shows help on the screen or the field
F3             applies a form
F4             lists the values of a field
F7             lists the actions of the screen
F8, Delete     removes the selected entry; asks first
F10            leaves
If the terminal intercepts function keys, press Esc and a digit; Esc 0 is F10.

In a list, typed text shows only the entries with this text; Esc clears it.
+ is well, ! needs attention, - is idle or absent.`;

export const OPERATIONS_HELP = `Everything that rssrv can do, also what has no page of its own. Typed text shows only the operations with this text in their name or help.

Enter opens the form of an operation. Sizes may have a unit (20g), and so may times (30s). A volume is written as oracle or oracle@1, several values with spaces or commas. An empty field is the default. A change is made only after a question.`;

export const STATUS_HELP = `The server on one page. crsio asks rssrv every few seconds.

A bar shows how much of a pool's file system is used. Each warning says what to do.`;

export const VOLUMES_HELP = `The volumes of all pools, and those of sections [volume] in the file, whose pool is "-".

Typed text shows only the volumes with this text in their name, pool or holder. Enter opens a volume, F8 removes it. A removed volume is kept for a day: F7 lists the removed ones.`;

export const VOLUME_HELP = `One volume, and what can be done with it. A volume of a section [volume] changes only in the file.

Growing works while clients use the volume. A volume that a client holds is neither renamed nor removed.`;

export const REMOVED_HELP = `Removed volumes that can still be restored, each with the time that is left. Enter restores one with its content.`;

export const CREATE_HELP = `Creates a volume and hands it out: the clients can attach it as soon as it is there.

F4 in the field clients lists the known clients; the space bar marks several. For a client that the server does not know yet, type its name: crsio then offers to add it, and shows its key and the command for the client.

Enter moves to the next field, F3 applies the form.`;

export const INTERFACES_HELP = `The addresses on which rssrv listens. Clients learn of a new interface at once; with two interfaces on two subnets, their I/O survives the loss of one cable.

waiting: the machine does not have the address yet, or the port is in use; rssrv tries again. A client with other paths moves its I/O to these before an interface goes.`;

export const POOLS_HELP = `A pool is a directory in which volumes are created, best on a file system of its own (XFS with reflink).

used: share of the file system. free: above the reserve. promised: sum of the sizes of its volumes, whether they take up space or not; limit and overcommit bound it. full: when no space above the reserve is left, if the pool grows as before.

Removing a pool only removes it from the file. Its volumes stay on disk, and adding it again brings them back, here or on another server.`;

export const CLIENTS_HELP = `The machines that may connect, with their state, right and volumes.

use: attach volumes. manage: also create and change volumes in some pools, up to a limit. admin: everything that rsadm can do.

A new client gets a key, which crsio shows once, with the command that makes the machine a client. A key is changed in steps, so that the client is never shut out.`;

export const WORKS_HELP = `Work of the server that takes time: jobs (moves, copies, imports, images) and replications that copy a moment.

Enter opens one, with its rate and what it waits for. F8 cancels a job; what it has done is undone. A job goes on when crsio ends, and after a restart of rssrv.`;

export const REPLICATIONS_HELP = `Volumes that this server copies to another server, or from one. AGE is the age of the last moment that both servers have.

Enter opens one, with the commands of rsadm that end it, promote its followers, or reverse it.`;

export const SNAPSHOTS_HELP = `The snapshots of a volume, the oldest first. A snapshot takes space only for what was written since.

Enter opens one: make a volume of it, or roll the volume back to it. F7 makes a snapshot, F8 removes one for good. A schedule is set with rsadm volume set NAME snapshots=...`;
