package message

import "github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"

// checkBody counts an empty content as content: presence is what tells the two apart.
func checkBody(msg *flwrpb.ReadableMessage) error {
	switch {
	case msg.Content != nil && msg.Error != nil:
		return broken(RuleContent, "it has both content and an error")
	case msg.Content == nil && msg.Error == nil:
		return broken(RuleContent, "it has neither content nor an error")
	}
	return nil
}
