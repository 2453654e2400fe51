// Package session is the framing between SuperNode and SuperLink: protobuf frames
// (session.proto) on one long-lived stream, each preceded by its length as a varint.
//
// It guarantees that frames arrive whole and in order, that the frames of several writers do
// not mix, that no frame over the limit is sent or held, and that bytes which are not a frame
// cause an error and nothing else. Frames from a newer peer that this version does not know
// are skipped.
//
// It is not responsible for the meaning of frames and their order (link/sessions and
// node/session), for deadlines (the stream's), or for who is at the other end (libp2p).
package session

// ProtocolID is the protocol with which a node opens the stream.
const ProtocolID = "/rhizome/session/1"
