package gossip

//go:generate go run ../../internal/protogen -I . -module github.com/rhizome-fl/rhizome -out ../.. gossip.proto
