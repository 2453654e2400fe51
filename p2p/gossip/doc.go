// Package gossip spreads a link's announcements about runs: started, stopped, finished,
// objects wanted by many. They let nodes fetch and warm up before the first task.
//
// What it guarantees:
//
//   - An announcement that a [Subscriber] hands out was signed by the link it follows, for
//     the federation it follows, and is handed out once, whether it came by gossip, by
//     the session ([Subscriber.Verify]), or both ways.
//   - By gossip it is also recent ([Window]), so that a recording cannot be played back.
//   - Only members take part: gossip from others is dropped unread, and nothing is sent to
//     them. The topic's name reveals nothing to those who do not know the federation.
//   - A peer that forwards forged, malformed, oversized or replayed announcements is ignored for
//     the better part of an hour ([graylist] in limits.go), even over reconnects. A member
//     that only forwards what it got is never blamed, since it drops those itself.
//   - Memory is bounded; when idle, the process is woken every ten seconds.
//
// The overlay is mostly a star, in which gossipsub's mesh reaches half of the nodes. The
// link therefore sends each announcement to every member it is connected to
// (flood-publish); members pass it on among themselves.
//
// It is not responsible for delivery: announcements are hints, skip limited (relayed)
// connections, and may be lost. What must arrive goes through the session, which repeats
// announcements as RunHint for that reason. It is not responsible for the host's
// connections, nor for who is a member.
//
// A host carries one Publisher or one Subscriber, since there is one gossipsub per host.
package gossip
