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
    assert "--max-message-mb" in message
