package ticket

//go:generate go run ../../../internal/protogen -I . -module github.com/rhizome-fl/rhizome -out ../../.. ticket.proto
