from sources.camera.patience import REQUEST_S, SESSION_S, Patience


def test_the_first_request_must_be_whole_in_time_however_slowly_it_trickles():
    patience = Patience(5.0)
    patience.heard(8.0, unfinished=True)
    assert patience.until == 5.0 + REQUEST_S


def test_a_sign_of_life_buys_a_session_s_time():
    patience = Patience(0.0)
    patience.heard(3.0, unfinished=False)
    assert patience.until == 3.0 + SESSION_S
    patience.heard(50.0, unfinished=False)
    assert patience.until == 50.0 + SESSION_S


def test_a_later_request_has_its_time_from_its_first_byte():
    patience = Patience(0.0)
    patience.heard(1.0, unfinished=False)
    patience.heard(40.0, unfinished=True)
    patience.heard(45.0, unfinished=True)
    assert patience.until == 40.0 + REQUEST_S
