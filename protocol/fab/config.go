package fab

import (
	"fmt"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Flatten turns a TOML table into a configuration as Flower sends it: nested tables become
// keys joined by dots; values are bools, integers, floats and strings.
func Flatten(table map[string]any) (map[string]*flwrpb.Scalar, error) {
	config := make(map[string]*flwrpb.Scalar)
	if err := flattenInto(config, "", table, 0); err != nil {
		return nil, err
	}
	return config, nil
}

func flattenInto(config map[string]*flwrpb.Scalar, prefix string, table map[string]any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("tables are nested deeper than %d", maxDepth)
	}
	for name, value := range table {
		key := prefix + name
		if sub, ok := value.(map[string]any); ok {
			if err := flattenInto(config, key+".", sub, depth+1); err != nil {
				return err
			}
			continue
		}
		scalar, err := toScalar(value)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if len(config) >= maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		config[key] = scalar
	}
	return nil
}

func toScalar(value any) (*flwrpb.Scalar, error) {
	switch v := value.(type) {
	case bool:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Bool{Bool: v}}, nil
	case int64:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Sint64{Sint64: v}}, nil
	case float64:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Double{Double: v}}, nil
	case string:
		return &flwrpb.Scalar{Scalar: &flwrpb.Scalar_String_{String_: v}}, nil
	default:
		return nil, fmt.Errorf("a value must be a bool, a number or a string, not %T", value)
	}
}
