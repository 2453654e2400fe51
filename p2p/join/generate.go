package join

//go:generate go run ../../internal/protogen -I . -module github.com/rhizome-fl/rhizome -out ../.. join.proto
