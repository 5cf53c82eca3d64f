// Help texts (F1) that explain how to use crsio. The help on sections and their keys comes from the schema. Invariant:
// terminal-input.ts recognizes every keyboard key that these texts mention.

export const OPERATIONS_HELP = `Everything that rsiod and rsapp can do, also what has no page of its own. Typed text shows only the operations with this text in their name or help.

Enter opens the form of an operation. Sizes may have a unit (20g), and so may times (30s). Several values are written with spaces or commas. An empty field is the default. A change is made only after a question, and at once: F3 is for the file.`;

export const KEYS_HELP = `crsio edits the file that makes this machine a client of RSIO servers.

To set up a client: add the interfaces of this machine that lead to servers and save. Add a namespace (F7 finds it) and enter the name \
and the key of this machine. Find the servers of the namespace (F7), save, and start rsiod.

rsconfig join does the same in one command. To make this machine a server instead, run rsadm init; then crsio administers the server.

Up, Down, Tab  move to another line or field
Enter          opens, chooses, moves to the next field
Esc            goes back
F1             shows help on the screen or the field
F2             shows hidden keys, or hides them again
F3             saves; a running rsiod reloads the file
F4             lists the values of a field
F7             lists the actions of the screen
F8, Delete     removes the selected entry
F10            leaves; asks first if there are unsaved changes
If the terminal intercepts function keys, press Esc and a digit; Esc 0 is F10.

In a field: Left, Right, Home, End, Delete, Backspace. Ctrl-U and Ctrl-K delete to the start and to the end, Ctrl-W deletes the word before.`;

export const FOUND_HELP = `Explores by broadcast on every interface in the file, and at the address that you enter with F7. Servers appear \
as they answer. Enter opens a login form for a namespace.

Broadcasts do not reach a server behind a router; enter its address with F7.
With a namespacekey, only signed answers are accepted. Rejected answers are listed below, each with the reason.`;

export const SEARCH_HELP = `Finds the servers of this namespace, tries every pair of a client interface and a server interface with the login \
data, and adds a [server] section for each server interface that works.

Interfaces that are left out are listed with the reason. Existing sections do not change. The file changes only when you save.`;

export const STATUS_HELP = `The state of the running rsiod, updated once per second. tx and rx are the two directions of a path, judged \
separately. The bars compare each path with the fastest one.

Enter attaches a volume. On an attached volume, Enter asks and then detaches it.`;

export const MIRRORS_HELP = `A mirror is one volume with a replica on each of two or three servers. Three servers vote, so that any one of \
them may fail: with two replicas, the third voter is a witness.

+ is well, ! needs attention. Enter on a mirror attaches, detaches or dissolves it. F7 creates a mirror. rsconfig mirror has commands that add, \
replace and compare replicas.`;

export const APPLICATIONS_HELP = `An application is a service with its volumes, its file systems and perhaps an address. One of several nodes \
runs it: the one that holds its first volume. rsapp starts and stops it, and moves it when its node or its service fails.

Add it with F7, with the same entries on each of its nodes, and save (F3). Then start it once, on one node. Disable its unit in systemd, \
because rsapp starts it.

Enter on an application shows it, with what can be ordered here. An application that another node has takes its orders there. A drained node \
gives its applications away, and takes none until the end of the drain, also after a reboot.

! needs attention. docs/APPLICATIONS.md has a walk with PostgreSQL.`;

export const DIFFERENCE_HELP = `Lines with - are only in the file on disk, lines with + only in your edited version; other lines are in both.

F7 rereads the file, or overwrites it with your version.`;
