from pipeline import errors


def test_the_tree_drawn_at_the_top_names_every_error_under_its_parent():
    drawn = errors.__doc__ or ""
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.JanusError):
            assert name in drawn


def test_errors_name_what_they_are_about():
    assert str(errors.SourceError("door.mp4", "no video stream")) == "door.mp4: no video stream"
    message = str(errors.MessageTooLarge("clip a/1", 5000, 4000))
    assert "a/1" in message
    assert "5000" in message
    assert "4000" in message
    assert message.endswith("raise --max-message-mb on the cloud")
    assert str(errors.MessageTooLarge("clip a/1", 5, 4, "peer")).endswith("on the peer")


def test_an_error_of_nobody_is_told_in_one_line_without_the_address_that_it_ends_with():
    assert errors.in_one_line(ValueError("two\n  lines\n")) == "ValueError: two lines"
    refused = OSError(95, "Operation not supported", "rtsp://me:secret@host/cam")
    assert errors.in_one_line(refused) == "OSError: Operation not supported"
