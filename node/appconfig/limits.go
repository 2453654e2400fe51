package appconfig

// maxConfigFile bounds a configuration file that the operator names.
const maxConfigFile = 1 << 20
