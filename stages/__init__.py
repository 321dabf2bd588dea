"""The steps of a clip's life: capture to send on the device, receive to postprocess in the cloud."""
