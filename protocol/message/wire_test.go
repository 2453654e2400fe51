package message

import "google.golang.org/protobuf/encoding/protowire"

func appendField(b []byte, number int32, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, protowire.Number(number), protowire.BytesType), value)
}

func appendVarint(b []byte, number int32, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(number), protowire.VarintType), value)
}

func appendFixed(b []byte, number int32, value uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, protowire.Number(number), protowire.Fixed64Type), value)
}
